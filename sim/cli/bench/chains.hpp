#pragma once

#include <array>
#include <cstdint>

namespace kvr::bench {

/// Enough to fill two pipelines of latency 4, few enough for the 16 registers of AVX2.
inline constexpr int kChains = 12;

// x = x * factor + addend on kChains independent vectors, `rounds` times over; returns something that depends
// on all of them.
float chain_four(std::int64_t rounds, float factor, float addend);
float chain_eight(std::int64_t rounds, float factor, float addend);
float chain_sixteen(std::int64_t rounds, float factor, float addend);

struct Chains {
  int lanes;  ///< of a vector
  float (*run)(std::int64_t rounds, float factor, float addend);
};
inline constexpr std::array kChainsByWidth = {Chains{4, chain_four}, Chains{8, chain_eight},
                                              Chains{16, chain_sixteen}};

}  // namespace kvr::bench

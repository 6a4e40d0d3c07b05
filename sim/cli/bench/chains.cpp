// Compiled with contraction, unlike the rest: the peak is the CPU's, with fused multiply-adds where it has
// them.
#include "sim/cli/bench/chains.hpp"

#include "sim/base/dispatch.hpp"

namespace kvr::bench {
namespace {

using FourFloats = float __attribute__((vector_size(16)));
using EightFloats = float __attribute__((vector_size(32)));
using SixteenFloats = float __attribute__((vector_size(64)));

template <class Vector>
[[gnu::always_inline]] inline float run_chains(std::int64_t rounds, float factor, float addend) {
  Vector chains[kChains];
  for (int i = 0; i < kChains; ++i) {
    chains[i] = Vector{} + static_cast<float>(i);
  }
  const Vector factors = Vector{} + factor;
  const Vector addends = Vector{} + addend;
  for (std::int64_t round = 0; round < rounds; ++round) {
    for (Vector& chain : chains) {
      chain = chain * factors + addends;
    }
  }
  Vector total{};
  for (const Vector& chain : chains) {
    total += chain;
  }
  return total[0];
}

}  // namespace

KVR_DISPATCHED float chain_four(std::int64_t rounds, float factor, float addend) {
  return run_chains<FourFloats>(rounds, factor, addend);
}

KVR_DISPATCHED float chain_eight(std::int64_t rounds, float factor, float addend) {
  return run_chains<EightFloats>(rounds, factor, addend);
}

KVR_DISPATCHED float chain_sixteen(std::int64_t rounds, float factor, float addend) {
  return run_chains<SixteenFloats>(rounds, factor, addend);
}

}  // namespace kvr::bench

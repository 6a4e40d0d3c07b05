#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvr {

/// How the weights of a matrix are stored. Matrices are read whole at every token, so that a format decides
/// how long a token takes, by its bytes and by what it costs to turn them into numbers.
enum class WeightFormat : std::uint8_t { f16, fp8, q8_0, q6_k, q4_k_m, q4_1, q4_0 };

struct WeightFormatInfo {
  WeightFormat format;
  std::string_view name;
  double bytes;  ///< of a weight, scales included
};

/// In the order of the enumeration. Blocks are those of llama.cpp; its mixture Q4_K_M keeps some matrices of
/// some layers in Q6_K, and its mean is that of Llama-3.2-1B: a file of 808 MB, less the head.
constexpr std::array<WeightFormatInfo, 7> kWeightFormats = {{{WeightFormat::f16, "f16", 2.0},
                                                             {WeightFormat::fp8, "fp8", 1.0},
                                                             {WeightFormat::q8_0, "q8_0", 34.0 / 32.0},
                                                             {WeightFormat::q6_k, "q6_k", 210.0 / 256.0},
                                                             {WeightFormat::q4_k_m, "q4_k_m", 0.608},
                                                             {WeightFormat::q4_1, "q4_1", 20.0 / 32.0},
                                                             {WeightFormat::q4_0, "q4_0", 18.0 / 32.0}}};

/// For the parameters that choose one.
constexpr std::string_view kWeightFormatChoices = "f16|fp8|q8_0|q6_k|q4_k_m|q4_1|q4_0";

constexpr const WeightFormatInfo& info_of(WeightFormat format) {
  return kWeightFormats[static_cast<std::size_t>(format)];
}

}  // namespace kvr

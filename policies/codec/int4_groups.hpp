#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <span>

#include "sim/base/convert.hpp"

namespace kvr {

/// Symmetric 4-bit integers with one scale for each group of 32 elements, the last group perhaps shorter:
///
///   scale = max |x| of the group / 7, in fp16, at most 9352,   code = round(x / scale),   x' = scale * code
///   |x - x'| <= scale / 2, so a 14th of the group's largest, besides the rounding of the scale
///   blob  = the scales, then two codes a byte, the first in the low bits, each as code + 8
class Int4Groups {
 public:
  static std::size_t bytes(std::size_t elements) {
    return groups_of(elements) * sizeof(Half) + (elements + 1) / 2;
  }

  static void encode(std::span<const float> row, std::span<std::byte> blob) {
    std::ranges::fill(blob, std::byte{0});
    const auto codes = blob.subspan(groups_of(row.size()) * sizeof(Half));
    for (std::size_t group = 0; group < groups_of(row.size()); ++group) {
      const Half stored = scale_of(group_of(row, group));
      std::memcpy(&blob[group * sizeof(Half)], &stored, sizeof(stored));
      const float scale = to_float(stored);
      for (std::size_t i = group * kGroup; i < std::min((group + 1) * kGroup, row.size()); ++i) {
        codes[i / 2] |= static_cast<std::byte>((code_of(row[i], scale) + kOffset) << (i % 2 * 4));
      }
    }
  }

  static void decode(std::span<const std::byte> blob, std::span<float> row) {
    const auto codes = blob.subspan(groups_of(row.size()) * sizeof(Half));
    for (std::size_t i = 0; i < row.size(); ++i) {
      Half stored{};
      std::memcpy(&stored, &blob[i / kGroup * sizeof(Half)], sizeof(stored));
      const int code = (std::to_integer<int>(codes[i / 2]) >> (i % 2 * 4) & 15) - kOffset;
      row[i] = to_float(stored) * static_cast<float>(code);
    }
  }

 private:
  static constexpr std::size_t kGroup = 32;
  static constexpr float kLargestCode = 7.0F;
  static constexpr int kOffset = 8;

  static std::size_t groups_of(std::size_t elements) { return (elements + kGroup - 1) / kGroup; }

  static std::span<const float> group_of(std::span<const float> row, std::size_t group) {
    return row.subspan(group * kGroup, std::min(kGroup, row.size() - group * kGroup));
  }

  static Half scale_of(std::span<const float> group) {
    float largest = 0.0F;
    for (const float x : group) {
      largest = std::max(largest, std::abs(x));
    }
    // Rounded up, the scale would turn the largest codes of the largest rows into infinity.
    constexpr float kLargestScale = 9352.0F;
    return to_half(std::min(largest / kLargestCode, kLargestScale));
  }

  /// A scale among fp16's subnormals is so coarse that the quotient may leave the codes' range.
  static int code_of(float x, float scale) {
    const float code = scale > 0.0F ? std::nearbyint(x / scale) : 0.0F;
    return static_cast<int>(std::clamp(code, -kLargestCode, kLargestCode));
  }
};

}  // namespace kvr

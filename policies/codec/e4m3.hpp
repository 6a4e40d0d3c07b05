#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace kvr {

/// Eight-bit floating point numbers of 4 bits of exponent and 3 of mantissa (OCP 8-bit floating point, E4M3):
/// up to 448 in steps of a sixteenth to an eighth, in steps of 2^-9 below 2^-6. What is larger becomes 448.
struct E4M3 {
  static constexpr float kLargest = 448.0F;

  /// To the nearest, ties to the even mantissa. `value` is a number.
  static std::uint8_t encode(float value) {
    const auto sign = static_cast<unsigned>(std::signbit(value) ? 0x80 : 0);
    const float size = std::min(std::abs(value), kLargest);
    if (size < kSmallestNormal) {
      return static_cast<std::uint8_t>(sign | static_cast<unsigned>(std::nearbyint(size / kStep)));
    }
    int exponent = 0;
    const float mantissa = std::frexp(size, &exponent);  // 0.5 <= mantissa < 1
    // Sixteenths; sixteen of them carry over into the exponent, as the bits lie side by side.
    const auto sixteenths = static_cast<int>(std::nearbyint(mantissa * 16.0F)) - 8;
    return static_cast<std::uint8_t>(sign | static_cast<unsigned>((exponent - 1 + kBias) * 8 + sixteenths));
  }

  static float decode(std::uint8_t code) {
    const int exponent = code >> 3 & 15;
    const auto mantissa = static_cast<float>(code & 7);
    const float size =
        exponent == 0 ? mantissa * kStep : std::ldexp(1.0F + mantissa / 8.0F, exponent - kBias);
    return (code & 0x80) != 0 ? -size : size;
  }

 private:
  static constexpr int kBias = 7;
  static constexpr float kSmallestNormal = 0x1p-6F;
  static constexpr float kStep = 0x1p-9F;
};

}  // namespace kvr

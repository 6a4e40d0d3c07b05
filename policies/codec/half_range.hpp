#pragma once

#include <algorithm>
#include <span>

namespace kvr {

inline constexpr float kLargestHalf = 65504.0F;

/// An extreme row may have more of a direction, or come back as more, than fp16 can say.
inline void stay_in_half_range(std::span<float> values) {
  for (float& value : values) {
    value = std::clamp(value, -kLargestHalf, kLargestHalf);
  }
}

}  // namespace kvr

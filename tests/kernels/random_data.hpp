#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/half.hpp"
#include "sim/base/rng.hpp"

namespace kvr::kernels::test {

/// Standard normal floats, `count` of them.
inline std::vector<float> random_floats(Rng& rng, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) {
    value = static_cast<float>(rng.normal());
  }
  return values;
}

inline std::vector<Half> random_halves(Rng& rng, std::int64_t count) {
  const std::vector<float> values = random_floats(rng, count);
  std::vector<Half> halves(values.size());
  to_half(values, halves);
  return halves;
}

}  // namespace kvr::kernels::test

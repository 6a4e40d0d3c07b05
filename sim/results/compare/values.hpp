#pragma once

#include <cmath>
#include <limits>

namespace kvr::compare {

/// No value.
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Having no value is the same as having none.
inline bool are_equal(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

}  // namespace kvr::compare

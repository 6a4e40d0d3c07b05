#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace kvr {

/// Where a point stands along one of the axes of its sweep.
struct AxisValue {
  std::string axis;       ///< what it is called
  std::string key;        ///< dotted; empty where the value is no value of a key: files, points, named values
  std::string unit = {};  ///< of a number
  /// In SI units, or what it is called.
  std::variant<std::int64_t, double, std::string> value;
};

}  // namespace kvr

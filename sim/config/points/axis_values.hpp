#pragma once

#include <span>
#include <vector>

#include "sim/config/points/compose.hpp"
#include "sim/config/resolved.hpp"
#include "sim/interfaces/axis_value.hpp"

namespace kvr::config {

/// What results have of a point's coordinates: a number is one there too; all else is what it is called.
std::vector<AxisValue> axis_values(const Resolved& root, std::span<const Coordinate> coordinates);

}  // namespace kvr::config

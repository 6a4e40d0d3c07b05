#pragma once

#include <vector>

#include "sim/base/figures.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// What a model knows of the inside of a device, as figures of its own.
std::vector<FigureInfo> array_figures();
void report_array(const DeviceStats& stats, Report& report);

}  // namespace kvr::flash

#pragma once

#include <cstdint>
#include <span>

#include "sim/engine/energy_meter.hpp"
#include "sim/engine/head_replay.hpp"
#include "sim/results/point_data.hpp"

namespace kvr {

void record_energy(const StepEnergy& energy, std::int64_t step, PointData& data);
/// Seconds of this machine that the kernels of all heads took.
void record_kernel_times(std::span<const HeadReplay> heads, std::int64_t step, PointData& data);

}  // namespace kvr

#pragma once

#include <cstdint>
#include <span>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/recording/update_reuse.hpp"
#include "sim/engine/timing/energy_meter.hpp"
#include "sim/engine/timing/machine.hpp"
#include "sim/results/point_data.hpp"

namespace kvr {

/// Where a captured layer's row of a step lies in the results.
struct LayerRow {
  std::int64_t step;
  std::int64_t layer;
};

/// What a captured layer asked of the flash and what its heads came to. `heads` [heads of the layer].
void record_layer(const LayerMemory& memory, std::span<const HeadPolicies> heads, const Machine& machine,
                  LayerRow row, PointData& data);
/// `reuse` has followed the step of `row`; what it knows now belongs to earlier steps.
void record_reuse(const UpdateReuse& reuse, LayerRow row, std::int64_t head, PointData& data);
/// What bounds the step that the machine has just run.
void record_critical(const Machine& machine, std::int64_t step, PointData& data);
/// What the tiers of memory below the first were asked for, moved and hold. `held_bytes` [tiers].
void record_tiers(std::span<const LayerMemory> layers, std::span<const std::int64_t> held_bytes,
                  const Machine& machine, std::int64_t step, PointData& data);
/// What of its reads ahead came late.
void record_lateness(const Machine& machine, std::int64_t step, PointData& data);
void record_energy(const StepEnergy& energy, std::int64_t step, PointData& data);
/// Seconds of this machine that the kernels of all heads took.
void record_kernel_times(std::span<const HeadPolicies> heads, std::int64_t step, PointData& data);

}  // namespace kvr

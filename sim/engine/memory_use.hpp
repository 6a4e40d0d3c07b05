#pragma once

#include <span>

#include "sim/engine/head_replay.hpp"
#include "sim/engine/layer_replay.hpp"
#include "sim/engine/machine.hpp"

namespace kvr {

/// DRAM of the whole model for what the captured layers hold. Where the schedule's virtual memory covers it,
/// only what is in DRAM at a time counts: of the cache two neighbouring layers, one in use and one coming in,
/// and where it is swapped in place what the layout has not written of the others; of the representatives
/// one layer.
double cache_in_dram_bytes(std::span<const LayerReplay> layers, const Machine& machine);
/// `heads` [layers * heads of a layer].
double representatives_in_dram_bytes(std::span<const HeadReplay> heads, const Machine& machine);

}  // namespace kvr

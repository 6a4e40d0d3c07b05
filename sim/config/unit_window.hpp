#pragma once

#include "sim/config/stage_config.hpp"

namespace kvr {

/// Of which steps, layers and KV heads the units are recorded: steps from the first one replayed on, layers
/// and heads as numbered in the model, sequences in the order of workload.sequences.
struct UnitWindow {
  LayerSet steps = {};
  LayerSet layers = {};
  LayerSet heads = {};
  LayerSet sequences = {};
};

}  // namespace kvr

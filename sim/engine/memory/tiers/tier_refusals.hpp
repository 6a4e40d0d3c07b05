#pragma once

#include "sim/config/resolve.hpp"
#include "sim/engine/memory/memory_geometry.hpp"

namespace kvr {

/// Throws InputError where the configured tiers of memory below the first cannot stand beside the rest of the
/// configuration: what a schedule swaps to flash and what stages read ahead would have to pass them, and no
/// oracle knows what a tier between is asked for.
void refuse_tiers(const RunConfig& config, const MemoryGeometry& geometry);

}  // namespace kvr

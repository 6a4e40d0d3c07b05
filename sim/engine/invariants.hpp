#pragma once

#include <span>

#include "sim/engine/cache_set.hpp"
#include "sim/engine/head_replay.hpp"
#include "sim/engine/layer_replay.hpp"

namespace kvr {

/// What must hold between two steps, whatever the policies do; throws InternalError where it does not:
///   units      every entry is a member of one unit or pending in one, and the clustering finds nothing wrong
///   placement  see check_placement
///   caches     no cache exceeds its budget, and together they account for the entries that are resident
/// Takes time in proportion to the entries.
void check_invariants(std::span<const HeadReplay> heads, std::span<const LayerReplay> layers,
                      const CacheSet& caches);

}  // namespace kvr

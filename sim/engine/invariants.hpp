#pragma once

#include <span>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/layer_memory.hpp"

namespace kvr {

/// What must hold between two steps, whatever the policies do; throws InternalError where it does not:
///   units      every entry is a member of one unit or pending in one, and the clustering finds nothing wrong
///   placement  see check_placement
///   caches     no cache exceeds its budget, and together they account for the entries that are resident
///   tiers      the same of every tier below, and an exclusive one shares nothing with those above it
/// Takes time in proportion to the entries.
void check_invariants(std::span<const HeadPolicies> heads, std::span<const LayerMemory> layers,
                      const CacheSet& caches, const TierLevels& tiers);

}  // namespace kvr

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/residency.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// An entry of a layer that is in the cache.
struct CachedEntry {
  std::int64_t head;
  EntryIndex entry;

  friend bool operator==(const CachedEntry&, const CachedEntry&) = default;
};

/// What the cache holds of one layer, unit by unit; both arguments [heads of the layer].
std::vector<CachedEntry> cached_of(std::span<const HeadPolicies> heads,
                                   std::span<const HeadResidency> residencies);

}  // namespace kvr

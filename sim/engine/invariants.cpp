#include "sim/engine/invariants.hpp"

#include "sim/base/error.hpp"

namespace kvr {

void check_invariants(std::span<const HeadPolicies> heads, std::span<const LayerMemory> layers,
                      const CacheSet& caches, const TierLevels& tiers) {
  for (const HeadPolicies& head : heads) {
    head.check_units();
  }
  std::int64_t resident = 0;
  for (const LayerMemory& layer : layers) {
    layer.check_placement();
    resident += layer.has_lower_tier() ? layer.cached_bytes() : 0;
  }
  caches.check_budget(resident);
  tiers.check();
}

}  // namespace kvr

#include "sim/engine/invariants.hpp"

#include "sim/error.hpp"

namespace kvr {

void check_invariants(std::span<const HeadReplay> heads, std::span<const LayerReplay> layers,
                      const CacheSet& caches) {
  for (const HeadReplay& head : heads) {
    head.check_units();
  }
  std::int64_t resident = 0;
  for (const LayerReplay& layer : layers) {
    layer.check_placement();
    resident += layer.cached_entries();
  }
  caches.check_budget(resident);
}

}  // namespace kvr

#include "sim/engine/memory/cached_entry.hpp"

namespace kvr {

std::vector<CachedEntry> cached_of(std::span<const HeadPolicies> heads,
                                   std::span<const HeadResidency> residencies) {
  std::vector<CachedEntry> cached;
  for (std::size_t head = 0; head < heads.size(); ++head) {
    const Clustering& clustering = heads[head].clustering();
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      if (!residencies[head].partly_resident(unit)) {
        continue;
      }
      for (const EntryIndex entry : clustering.members(unit)) {
        if (residencies[head].entry_resident(entry)) {
          cached.push_back({static_cast<std::int64_t>(head), entry});
        }
      }
    }
  }
  return cached;
}

}  // namespace kvr

#include "sim/engine/memory/tiers/tier_level.hpp"

#include "sim/base/error.hpp"

namespace kvr {

TierLevel::TierLevel(const RunConfig& config, const TierConfig& tier, const MemoryGeometry& geometry,
                     std::int64_t layers, std::int64_t kv_heads)
    : exclusive_(tier.exclusive),
      kv_heads_(kv_heads),
      caches_(config, caches_of(tier), geometry, layers, kv_heads, nullptr) {}

void TierLevel::add_head(const Clustering& clustering, const RecordSizes& sizes,
                         std::int64_t capacity_entries) {
  clusterings_.push_back(&clustering);
  pointers_.push_back(&residencies_.emplace_back(capacity_entries, clustering, sizes));
}

std::int64_t TierLevel::bytes() const {
  std::int64_t bytes = 0;
  for (std::size_t head = 0; head < clusterings_.size(); ++head) {
    for (UnitId unit = 0; unit < clusterings_[head]->unit_count(); ++unit) {
      bytes += residencies_[head].bytes(unit);
    }
  }
  return bytes;
}

void TierLevel::admit(HeadId head, UnitId unit, std::span<const EntryIndex> entries) {
  Cache& cache = caches_.of(head.layer, head.head);
  if (!cache.enabled()) {
    return;
  }
  HeadResidency& residency = residencies_[index(head)];
  for (const EntryIndex entry : entries) {
    residency.add(unit, entry);
  }
  cache.loaded(residency.sizes().sum(entries).bytes);
}

void TierLevel::give_up(HeadId head, UnitId unit, std::span<const EntryIndex> entries) {
  for (const EntryIndex entry : entries) {
    cache_of(head).remove(unit, entry);
  }
}

void TierLevel::touch(HeadId head, UnitId unit, bool hit) {
  const HeadResidency& residency = residencies_[index(head)];
  Cache& cache = caches_.of(head.layer, head.head);
  if (cache.enabled() && residency.partly_resident(unit)) {
    cache.touched(cache_of(head).object(unit), residency.bytes(unit), hit);
  }
}

void TierLevel::evict(HeadId head) {
  Cache& cache = caches_.of(head.layer, head.head);
  if (cache.enabled()) {
    cache.evict(pointers_, kv_heads_);
  }
}

void TierLevel::check() const {
  for (const HeadResidency& residency : residencies_) {
    residency.check_counts();
  }
  caches_.check_budget(bytes());
}

}  // namespace kvr

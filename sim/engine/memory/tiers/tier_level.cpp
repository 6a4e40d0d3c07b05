#include "sim/engine/memory/tiers/tier_level.hpp"

#include "sim/base/error.hpp"

namespace kvr {

TierLevel::TierLevel(const RunConfig& config, const TierConfig& tier, const MemoryGeometry& geometry,
                     std::int64_t layers, std::int64_t kv_heads)
    : exclusive_(tier.exclusive),
      kv_heads_(kv_heads),
      caches_(config, caches_of(tier), geometry, layers, kv_heads, nullptr) {}

void TierLevel::add_head(const Clustering& clustering, std::int64_t capacity_entries) {
  clusterings_.push_back(&clustering);
  pointers_.push_back(&residencies_.emplace_back(capacity_entries, clustering));
}

std::int64_t TierLevel::entries() const {
  std::int64_t entries = 0;
  for (std::size_t head = 0; head < clusterings_.size(); ++head) {
    for (UnitId unit = 0; unit < clusterings_[head]->unit_count(); ++unit) {
      entries += residencies_[head].count(unit);
    }
  }
  return entries;
}

void TierLevel::admit(HeadId head, UnitId unit, std::span<const EntryIndex> entries) {
  Cache& cache = caches_.of(head.layer, head.head);
  if (!cache.enabled()) {
    return;
  }
  for (const EntryIndex entry : entries) {
    residencies_[index(head)].add(unit, entry);
  }
  cache.loaded(std::ssize(entries));
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
    cache.touched(cache_of(head).object(unit), residency.count(unit), hit);
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
  caches_.check_budget(entries());
}

}  // namespace kvr

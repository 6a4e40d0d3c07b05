#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/residency.hpp"
#include "sim/engine/memory/tiers/head_cache.hpp"

namespace kvr {

/// A tier between the first and the last: its caches, and what it holds of every head.
class TierLevel {
 public:
  TierLevel(const RunConfig& config, const TierConfig& tier, const MemoryGeometry& geometry,
            std::int64_t layers, std::int64_t kv_heads);

  /// Heads come in their order: layer by layer.
  void add_head(const Clustering& clustering, const RecordSizes& sizes, std::int64_t capacity_entries);

  bool exclusive() const { return exclusive_; }
  bool has(HeadId head, EntryIndex entry) const { return residencies_[index(head)].entry_resident(entry); }
  std::int64_t bytes() const;
  std::int64_t bytes_of(HeadId head) const { return residencies_[index(head)].cached().bytes; }
  CacheSet& caches() { return caches_; }
  const CacheSet& caches() const { return caches_; }

  /// `entries` of `unit` come to be here, or leave.
  void admit(HeadId head, UnitId unit, std::span<const EntryIndex> entries);
  void give_up(HeadId head, UnitId unit, std::span<const EntryIndex> entries);
  /// The policy hears that `unit` was asked for, if anything of it is here; `hit`: all that was asked was.
  void touch(HeadId head, UnitId unit, bool hit);
  void restructure(HeadId head, const Change& change) { cache_of(head).restructure(change); }
  void remove(HeadId head, const Change& change) { cache_of(head).remove(change.unit, change.entry); }
  void evict(HeadId head);

  /// Throws InternalError unless no cache exceeds its budget and all counts are those of the entries here.
  void check() const;

 private:
  std::size_t index(HeadId head) const {
    return static_cast<std::size_t>(head.layer * kv_heads_ + head.head);
  }
  HeadCache cache_of(HeadId head) {
    return {head, *clusterings_[index(head)], residencies_[index(head)], caches_.of(head.layer, head.head)};
  }

  bool exclusive_;
  std::int64_t kv_heads_;
  CacheSet caches_;
  std::vector<const Clustering*> clusterings_;  ///< [layers * heads]
  std::deque<HeadResidency> residencies_;       ///< [layers * heads], which stay where they are
  std::vector<HeadResidency*> pointers_;        ///< to them
};

}  // namespace kvr

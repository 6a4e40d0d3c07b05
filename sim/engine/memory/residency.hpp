#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/indexed.hpp"
#include "sim/engine/heads/selection.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/record_sizes.hpp"
#include "sim/interfaces/replacement.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Which entries of one head are in DRAM on account of the cache; without flash, all are. What is resident is
/// a set of entries; who stays is decided per unit. A unit may be resident in part, after a cut or an append.
/// Pending entries and those that the layout has not written yet are in DRAM too, but not on the cache's
/// account.
class HeadResidency final : public ResidentUnits {
 public:
  /// `clustering` and `sizes` must outlive it.
  HeadResidency(std::int64_t capacity_entries, const Clustering& clustering, const RecordSizes& sizes,
                bool on_flash = true);

  const RecordSizes& sizes() const { return *sizes_; }

  /// Entries outside `range` are pinned from now on: in DRAM anyway, not on the cache's account.
  void set_candidates(const CandidateRange& range) { range_ = range; }
  const CandidateRange& candidates() const { return range_; }
  bool entry_resident(EntryIndex entry) const { return flags_[entry] != 0; }
  bool entry_pending(EntryIndex entry) const { return pending_[entry] != 0; }
  void set_pending(EntryIndex entry, bool pending) { pending_[entry] = pending ? 1 : 0; }
  bool entry_unwritten(EntryIndex entry) const { return unwritten_flags_[entry] != 0; }
  /// Cached, pinned, pending or unwritten.
  bool in_dram(EntryIndex entry) const {
    return !on_flash_ || entry_resident(entry) || entry_pending(entry) || !range_.contains(entry) ||
           entry_unwritten(entry);
  }
  /// Every member is in DRAM.
  bool resident(UnitId unit) const override;
  /// Any member is cached.
  bool partly_resident(UnitId unit) const { return count(unit) > 0; }
  std::int64_t count(UnitId unit) const { return cached(unit).entries; }
  std::int64_t bytes(UnitId unit) const { return cached(unit).bytes; }
  /// Cached, of all units.
  RecordSum cached() const;

  void add(UnitId unit, EntryIndex entry);
  /// Drops the unit's entries; returns how many there were, and in `entries`, unless null, which.
  RecordSum drop(UnitId unit, std::vector<EntryIndex>* entries = nullptr);
  /// `entry` left `unit` for good; returns whether it was cached.
  bool remove(UnitId unit, EntryIndex entry);
  /// `entries` wait to be written from now on, and none but they.
  void set_unwritten(std::span<const EntryIndex> entries);
  std::span<const EntryIndex> unwritten() const { return unwritten_; }
  /// Entries in DRAM for no other reason than that they wait to be written.
  RecordSum only_unwritten() const;
  /// Counts `unit` anew after its members have changed.
  void recount(UnitId unit);
  void recount(UnitId unit, UnitId other) {
    recount(unit);
    recount(other);
  }
  /// Throws InternalError unless the counts are those of the cached entries, each in one unit.
  void check_counts() const;

 private:
  RecordSum cached(UnitId unit) const;
  RecordSum cached_of(std::span<const EntryIndex> members) const;

  const Clustering* clustering_;
  const RecordSizes* sizes_;
  bool on_flash_;
  CandidateRange range_;
  Indexed<EntryIndex, std::uint8_t> flags_;
  Indexed<EntryIndex, std::uint8_t> pending_;
  Indexed<EntryIndex, std::uint8_t> unwritten_flags_;
  std::vector<EntryIndex> unwritten_;
  Indexed<UnitId, RecordSum> resident_;
};

/// The DRAM cache over flash: one byte budget shared by the heads of its scope, one Replacement policy.
class Cache {
 public:
  Cache(std::unique_ptr<Replacement> policy, std::int64_t capacity_bytes, std::string policy_name = "");

  bool enabled() const { return policy_->caches() && capacity_bytes_ > 0; }
  std::int64_t bytes() const { return bytes_; }
  /// Whether it was ever full, so that the policy had to give something up.
  bool gave_up() const { return gave_up_; }
  const Replacement& policy() const { return *policy_; }

  /// Calls `watcher` with every object that is touched, before the policy is told.
  void watch(std::function<void(CacheObject)> watcher) { watcher_ = std::move(watcher); }
  /// Calls `listener` with what the policy or `give_up` has dropped.
  using Evicted = std::function<void(CacheObject, std::span<const EntryIndex>)>;
  void on_evict(Evicted listener) { evicted_ = std::move(listener); }
  /// Entries came in with this step's reads; their object's place in the order follows by `touched`.
  void loaded(std::int64_t bytes) { bytes_ += bytes; }
  void touched(CacheObject object, std::int64_t bytes, bool hit) {
    emptied_.erase(object);
    if (watcher_) {
      watcher_(object);
    }
    policy_->touched(object, bytes, hit);
  }
  void updated(CacheObject object, std::int64_t bytes) { policy_->updated(object, bytes); }
  /// A split took all resident entries off `object`; the policy may still give it up.
  void emptied(CacheObject object) {
    emptied_.insert(object);
    policy_->updated(object, 0);
  }
  /// Entries left on other grounds than the policy's choice.
  void dropped(std::int64_t bytes) { bytes_ -= bytes; }
  /// Drops what `head` has of `object`; returns how many entries that was.
  std::int64_t give_up(CacheObject object, HeadResidency& head);
  /// A policy that caches nothing stays as it is.
  void resize(std::int64_t capacity_bytes) {
    capacity_bytes_ = capacity_bytes;
    policy_->resized(capacity_bytes);
  }
  /// Throws InternalError where the budget does not hold.
  void check_budget() const;
  /// Evicts until the budget holds. `heads` [layer * heads_per_layer + head].
  void evict(std::span<HeadResidency* const> heads, std::int64_t heads_per_layer);

 private:
  std::unique_ptr<Replacement> policy_;
  std::string policy_name_;
  std::function<void(CacheObject)> watcher_;
  Evicted evicted_;
  std::vector<EntryIndex> dropped_;
  std::int64_t capacity_bytes_;
  std::int64_t bytes_ = 0;
  bool gave_up_ = false;
  std::set<CacheObject> emptied_;  ///< the policy knows them, but nothing of them is resident
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/memory/memory_geometry.hpp"
#include "sim/engine/memory/tiers/tier_level.hpp"
#include "sim/engine/memory/tiers/tier_traffic.hpp"

namespace kvr {

/// The memory below the first tier: levels between it and the last tier, and the link of a last tier that is
/// memory as well.
///
/// An entry that the first tier lacks is looked for in the levels, the fastest first, and comes up from the
/// first that has it, else from the last tier, which has everything. Inclusive levels that were asked in vain
/// then take it in. An exclusive level holds nothing that a tier above it holds: what it has leaves it when
/// it comes up, and what the tier above evicts goes down to it. What a level evicts goes down to the next if
/// that is exclusive, and is dropped else.
class TierLevels {
 public:
  /// Throws InputError where a tier cannot be what it is configured to be.
  TierLevels(const RunConfig& config, const MemoryGeometry& geometry, std::int64_t layers,
             std::int64_t kv_heads);
  TierLevels(const TierLevels&) = delete;
  TierLevels& operator=(const TierLevels&) = delete;

  /// `first` [layers * heads]: the first tier, by the caches of which it evicts; both outlive this.
  void put_under(CacheSet& caches, std::span<HeadResidency* const> first,
                 std::span<const Clustering* const> clusterings, std::int64_t capacity_entries);

  /// Memory below the first tier: levels, and the last tier where it is memory.
  std::size_t links() const { return links_; }
  /// Fastest first.
  const std::deque<TierLevel>& levels() const { return levels_; }
  bool has(HeadId head, EntryIndex entry) const;
  /// Which of the tiers below the first has the entry, the fastest that does: its place among the levels,
  /// their number for the last tier, which has all.
  std::size_t holder_of(HeadId head, EntryIndex entry) const;
  /// [links] of the layer's last step.
  std::span<const TierTraffic> traffic(std::int64_t layer) const {
    return std::span(traffic_).subspan(static_cast<std::size_t>(layer) * links_, links_);
  }
  /// [links]; the last tier, which has everything, counts as holding nothing.
  std::vector<std::int64_t> held_bytes() const;
  /// Of one head, in a level.
  std::int64_t held_bytes(std::size_t level, HeadId head) const { return levels_[level].bytes_of(head); }

  void begin_step(std::int64_t layer);
  /// What tiers evict from here on counts as the layer's.
  void resume(std::int64_t layer) { layer_ = layer; }
  /// What is guessed to be asked for comes up ahead, and stays where it was until it is (TierUse::arrived);
  /// what only the flash has is left in `missing`.
  void come_ahead(HeadId head, std::vector<EntryIndex>& missing);
  /// `missing`, of `unit`, comes up; what only the flash has is left in it.
  void bring_up(HeadId head, UnitId unit, TierUse use, std::vector<EntryIndex>& missing);
  /// What others are decoded with comes up, and stays where it was; what only the flash has is left in
  /// `missing`.
  void bring_along(HeadId head, TierUse use, std::vector<EntryIndex>& missing);
  /// Whether attention reads the entry where the fastest tier below the first has it.
  bool stays(HeadId head, EntryIndex entry) const;
  /// Takes what stays out of `missing`, of `unit`, and returns what it is.
  RecordSum read_in_place(HeadId head, UnitId unit, std::vector<EntryIndex>& missing);
  /// The same of what updates read; it goes over the link, and is not admitted anywhere.
  void update_in_place(HeadId head, std::vector<EntryIndex>& missing);
  /// `entries` of `unit` have left the first tier for the one below, because a stage placed others there.
  void displace(HeadId head, UnitId unit, std::span<const EntryIndex> entries);
  /// After attention: the policies hear what was asked for, least wanted first.
  void touch(HeadId head);
  void restructure(HeadId head, const Change& change);
  void remove(HeadId head, const Change& change);
  /// Where the last tier is memory: what is a member of a unit and was not before is written to it.
  void write_new(HeadId head);
  /// Without a transfer: what was there when the replay began, or has gone.
  void count_written(HeadId head);
  /// Levels come to fit their budgets again, the fastest first.
  void evict();

  /// Throws InternalError unless every level is sound and exclusive ones share nothing with a tier above.
  void check() const;

 private:
  /// What was asked of a level for one unit.
  struct Lookup {
    UnitId unit;
    bool hit;
  };

  std::size_t index(HeadId head) const {
    return static_cast<std::size_t>(head.layer * kv_heads_ + head.head);
  }
  std::vector<Lookup>& lookups(std::size_t level, HeadId head) {
    return lookups_[level * first_.size() + index(head)];
  }
  TierTraffic& traffic(std::int64_t layer, std::size_t link) {
    return traffic_[static_cast<std::size_t>(layer) * links_ + link];
  }
  /// Takes out of `missing` what the level has and returns it.
  std::vector<EntryIndex> found_in(const TierLevel& level, HeadId head,
                                   std::vector<EntryIndex>& missing) const;
  RecordSum sum(HeadId head, std::span<const EntryIndex> entries) const {
    return first_[index(head)]->sizes().sum(entries);
  }
  void count(TierUse use, const RecordSum& asked, const RecordSum& found, TierTraffic& moved) const;
  void look_up(std::size_t level, HeadId head, UnitId unit, bool hit);
  void come_from_last(std::int64_t layer, TierUse use, const RecordSum& entries);
  std::vector<EntryIndex> take_staying(HeadId head, std::vector<EntryIndex>& missing) const;
  /// `entries` of `object` have left the tier above level `to`; returns what of them comes to be there.
  RecordSum take_over(std::size_t to, CacheObject object, std::span<const EntryIndex> entries);
  /// By a level above `level`.
  bool held_above(std::size_t level, HeadId head, EntryIndex entry) const;
  RecordSum members(HeadId head) const;
  void check_exclusive(std::size_t level) const;

  std::int64_t kv_heads_;
  std::size_t links_;
  std::deque<TierLevel> levels_;  ///< fastest first
  bool last_is_memory_;
  std::vector<bool> in_place_;                      ///< [links]
  std::span<HeadResidency* const> first_;           ///< [layers * heads]
  std::span<const Clustering* const> clusterings_;  ///< [layers * heads]
  std::vector<std::vector<Lookup>> lookups_;        ///< [levels][layers * heads]
  std::vector<TierTraffic> traffic_;                ///< [layers][links]
  std::vector<RecordSum> written_;                  ///< [layers * heads], what a last memory has
  std::int64_t layer_ = 0;                          ///< whose step it is
};

}  // namespace kvr

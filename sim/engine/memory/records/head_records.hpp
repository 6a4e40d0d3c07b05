#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/records/record_units.hpp"
#include "sim/engine/memory/residency.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// Which entries of one head have a record, and until when: those of live entries outside the codec's tail,
/// and those of removed ones that some record refers to, which are kept but not attended to. A record that is
/// kept so refers to others in its turn.
///
/// Layouts look at the units of records and hear of what happens to records, not to entries. Where no codec
/// refers or leaves a tail, the two are the same, and nothing is done here.
class HeadRecords {
 public:
  /// Both must outlive it.
  HeadRecords(const HeadPolicies& head, HeadResidency& residency);

  /// What a layout may look at.
  const Clustering& units() const { return special_ ? units_ : head_->clustering(); }
  bool refers() const { return head_->codec().refers(); }
  /// Takes in the prompt's entries, none of which has a record yet.
  void begin();
  /// What a step's changes of the units are to the layout; valid until the next call.
  std::span<const Change> follow(std::span<const Change> changes);
  /// Before anything else hears of `removals`. Returns what the layout may give the places of, likewise.
  std::span<const Change> remove(std::span<const Change> removals);
  /// After `remove`, and after the caches have heard of it: a record that was never written stays in DRAM.
  void keep_pending();

  /// In DRAM, so that nothing needs to be read to decode with it.
  bool in_dram(EntryIndex entry) const;
  UnitId unit_of(EntryIndex entry) const;
  /// What must be read along with `entries` to decode them; `here`: needs not be. Ascending.
  std::vector<EntryIndex> read_along(std::span<const EntryIndex> entries,
                                     const std::function<bool(EntryIndex)>& here) const;

  /// Entries that are not written: what the layout says, and the tail. Valid until the next call.
  std::span<const EntryIndex> unwritten(std::span<const EntryIndex> by_layout);
  const RecordSizes& sizes() const { return head_->codec().sizes(); }
  /// Records of removed entries.
  RecordSum held() const;
  /// Of those, what is in DRAM and counted nowhere else.
  RecordSum waiting() const;
  /// Live entries that are kept as captured; bytes: of the records that they will have.
  RecordSum tail() const;
  /// Throws InternalError unless every record that one refers to is kept, and no other of a removed entry.
  void check() const;

 private:
  struct Held {
    UnitId unit;
    bool pending;  ///< it was never written
  };

  EntryIndex next_tail_begin() const;
  template <class Visit>
  void for_each_of_tail(Visit visit) const;
  void count_references();
  std::int64_t referrers(EntryIndex entry) const;
  void list_units();
  /// `tail_begin`: before the step.
  void tell(const Change& change, EntryIndex tail_begin);
  void tell_created(UnitId unit);
  void tell_split(const Change& change);
  void tell_member(UnitId unit, EntryIndex entry);
  void meet(UnitId unit);
  void meet_entry(EntryIndex entry);
  void meet_all();
  bool has_met(EntryIndex entry) const;
  void let_go(UnitId unit, EntryIndex entry);

  const HeadPolicies* head_;
  HeadResidency* residency_;
  bool special_;
  RecordUnits units_;
  std::size_t counted_ = 0;              ///< references of the codec
  std::vector<std::int64_t> referrers_;  ///< [entries]: records that refer to it
  std::map<EntryIndex, Held> held_;
  EntryIndex tail_begin_ = 0;
  /// Where there is a tail: what the layout has heard of.
  std::vector<std::uint8_t> units_met_;
  std::vector<std::uint8_t> entries_met_;
  ChangeList told_;
  std::vector<EntryIndex> unwritten_;
};

}  // namespace kvr

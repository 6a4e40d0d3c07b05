#include "sim/engine/partition_check.hpp"

#include "sim/error.hpp"

namespace kvr {

void PartitionCheck::claim(EntryIndex entry, UnitId unit) {
  KVR_CHECK(entry >= 0, "unit {} holds entry {}", unit, entry);
  const auto at = static_cast<std::size_t>(entry);
  if (at >= unit_of_.size()) {
    unit_of_.resize(at + 1, -1);
  }
  KVR_CHECK(unit_of_[at] == -1, "entry {} is in units {} and {}", entry, unit_of_[at], unit);
  unit_of_[at] = unit;
  ++entries_;
}

void PartitionCheck::follow(std::span<const Change> changes, const Clustering& clustering) {
  for (const Change& change : changes) {
    switch (change.kind) {
      case ChangeKind::created:
        for (const EntryIndex entry : clustering.members(change.unit)) {
          claim(entry, change.unit);
        }
        break;
      case ChangeKind::appended:
      case ChangeKind::buffered:
        claim(change.entry, change.unit);
        break;
      case ChangeKind::split:
        for (const UnitId part : {change.unit, change.other}) {
          for (const EntryIndex entry : clustering.members(part)) {
            UnitId& unit = unit_of_.at(static_cast<std::size_t>(entry));
            KVR_CHECK(unit == change.unit, "entry {} came to unit {} from unit {} in a split of {}", entry,
                      part, unit, change.unit);
            unit = part;
          }
        }
        break;
      case ChangeKind::wants_load:
        break;
    }
  }
}

void PartitionCheck::expect(std::int64_t entries) const {
  KVR_CHECK(entries_ == entries, "{} entries were handed over, {} are in units", entries, entries_);
}

void PartitionCheck::check(const Clustering& clustering) const {
  std::int64_t held = 0;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    for (const auto& entries : {clustering.members(unit), clustering.pending(unit)}) {
      for (const EntryIndex entry : entries) {
        KVR_CHECK(unit_of_.at(static_cast<std::size_t>(entry)) == unit,
                  "entry {} is in unit {}, expected in {}", entry, unit,
                  unit_of_.at(static_cast<std::size_t>(entry)));
      }
      held += static_cast<std::int64_t>(entries.size());
    }
  }
  KVR_CHECK(held == entries_, "units hold {} entries, {} were handed over", held, entries_);
}

}  // namespace kvr

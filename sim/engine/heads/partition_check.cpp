#include "sim/engine/heads/partition_check.hpp"

#include <algorithm>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

using Origins = std::map<UnitId, UnitId>;

Origins origins_of(std::span<const Change> changes) {
  Origins origins;
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::split) {
      KVR_CHECK(change.other > change.unit, "unit {} cannot be new after unit {}", change.other, change.unit);
      origins.emplace(change.other, change.unit);
    }
  }
  return origins;
}

bool comes_from(UnitId unit, UnitId ancestor, const Origins& origins) {
  while (unit != ancestor) {
    const auto origin = origins.find(unit);
    if (origin == origins.end()) {
      return false;
    }
    unit = origin->second;
  }
  return true;
}

}  // namespace

UnitId PartitionCheck::unit_of(EntryIndex entry) const {
  KVR_CHECK(entry >= 0 && unit_of_.has(entry), "entry {} is in a unit and was never handed over", entry);
  return unit_of_[entry];
}

void PartitionCheck::claim(EntryIndex entry, UnitId unit) {
  KVR_CHECK(entry >= 0, "unit {} holds entry {}", unit, entry);
  UnitId& held_by = unit_of_.reach(entry, -1);
  pending_.reach(entry, 0);
  KVR_CHECK(held_by == -1, "entry {} is in units {} and {}", entry, held_by, unit);
  held_by = unit;
  ++entries_;
}

void PartitionCheck::follow(std::span<const Change> changes, const Clustering& clustering) {
  // New entries first: they are among the members of every unit that the list created or split.
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::removed) {
      follow_removed(change);
    }
  }
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::appended || change.kind == ChangeKind::buffered) {
      claim(change.entry, change.unit);
      pending_[change.entry] = change.kind == ChangeKind::buffered ? 1 : 0;
    }
  }
  if (std::ranges::find(changes, ChangeKind::regrouped, &Change::kind) != changes.end()) {
    follow_regrouping(clustering);  // whatever came before it in the list: members are those after all of it
    return;
  }
  const Origins origins = origins_of(changes);
  for (const Change& change : changes) {
    if (change.kind == ChangeKind::created) {
      follow_created(change.unit, clustering, origins);
    } else if (change.kind == ChangeKind::split) {
      follow_split(change, clustering, origins);
    }
  }
}

void PartitionCheck::follow_removed(const Change& change) {
  KVR_CHECK(unit_of(change.entry) == change.unit, "entry {} was removed from unit {}, it is in {}",
            change.entry, change.unit, unit_of(change.entry));
  unit_of_[change.entry] = -1;
  pending_[change.entry] = 0;
  --entries_;
  any_removed_ = true;
}

void PartitionCheck::follow_created(UnitId unit, const Clustering& clustering, const Origins& origins) {
  for (const EntryIndex entry : clustering.members(unit)) {
    claim_created(entry, unit, origins);
  }
  for (const auto& [other, origin] : origins) {
    if (comes_from(other, unit, origins)) {  // split off before anyone could ask
      for (const EntryIndex entry : clustering.members(other)) {
        claim_created(entry, unit, origins);
      }
    }
  }
}

void PartitionCheck::claim_created(EntryIndex entry, UnitId unit, const Origins& origins) {
  if (entry >= 0 && unit_of_.has(entry) && unit_of_[entry] >= 0) {
    if (comes_from(unit_of_[entry], unit, origins)) {
      pending_[entry] = 0;  // it may have waited in the unit itself
      return;
    }
    if (pending_[entry] != 0) {
      unit_of_[entry] = unit;
      pending_[entry] = 0;
      return;
    }
  }
  claim(entry, unit);
}

void PartitionCheck::follow_regrouping(const Clustering& clustering) {
  std::ranges::fill(unit_of_, -1);
  const std::int64_t before = std::exchange(entries_, 0);
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    KVR_CHECK(any_removed_ || !clustering.members(unit).empty(), "unit {} is empty after a regrouping", unit);
    for (const bool pending : {false, true}) {
      for (const EntryIndex entry : pending ? clustering.pending(unit) : clustering.members(unit)) {
        claim(entry, unit);
        pending_[entry] = pending ? 1 : 0;
      }
    }
  }
  KVR_CHECK(entries_ == before, "a regrouping left {} entries of {}", entries_, before);
}

void PartitionCheck::follow_split(const Change& change, const Clustering& clustering,
                                  const Origins& origins) {
  for (const UnitId part : {change.unit, change.other}) {
    for (const EntryIndex entry : clustering.members(part)) {
      KVR_CHECK(comes_from(part, unit_of(entry), origins),
                "entry {} came to unit {} from unit {} in a split of {}", entry, part, unit_of(entry),
                change.unit);
      unit_of_[entry] = part;
      pending_[entry] = 0;
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
        KVR_CHECK(unit_of(entry) == unit, "entry {} is in unit {}, expected in {}", entry, unit,
                  unit_of(entry));
      }
      held += static_cast<std::int64_t>(entries.size());
    }
  }
  KVR_CHECK(held == entries_, "units hold {} entries, {} were handed over", held, entries_);
}

}  // namespace kvr

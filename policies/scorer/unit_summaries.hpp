#pragma once

#include <algorithm>
#include <span>

#include "sim/base/error.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// What a list of changes asks of a scorer that keeps a summary of each unit's members: `anew(unit)` where
/// they must be summed up from nothing, of none at all once a unit is emptied; `add(change)` where one was
/// appended. A list is read when all of it has happened, so `anew` may have seen an entry that is appended
/// after it.
template <class Anew, class Add>
void follow_units(std::span<const Change> changes, const Clustering& clustering, Anew anew, Add add) {
  const bool regroups = std::ranges::find(changes, ChangeKind::regrouped, &Change::kind) != changes.end();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const Change& change = changes[i];
    if (change.kind == ChangeKind::created) {
      KVR_CHECK(regroups || !clustering.members(change.unit).empty(), "unit {} is new and has no members",
                change.unit);
      anew(change.unit);
    } else if (change.kind == ChangeKind::split) {
      anew(change.unit);
      anew(change.other);
    } else if (change.kind == ChangeKind::removed) {
      const bool more = i + 1 < changes.size() && changes[i + 1].kind == ChangeKind::removed &&
                        changes[i + 1].unit == change.unit;
      if (!more) {  // once for all that left the unit
        anew(change.unit);
      }
    } else if (change.kind == ChangeKind::appended) {
      add(change);
    } else if (change.kind == ChangeKind::regrouped) {
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        anew(unit);
      }
    }
  }
}

}  // namespace kvr

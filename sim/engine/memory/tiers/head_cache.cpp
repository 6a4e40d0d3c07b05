#include "sim/engine/memory/tiers/head_cache.hpp"

namespace kvr {

void HeadCache::restructure(const Change& change) {
  if (change.kind == ChangeKind::created) {
    take_in_pending(change.unit, false);
  } else if (change.kind == ChangeKind::split) {
    split(change);
  } else if (change.kind == ChangeKind::regrouped) {
    regroup();
  }
}

void HeadCache::remove(UnitId unit, EntryIndex entry) {
  if (!residency_.remove(unit, entry)) {
    return;
  }
  cache_.dropped(residency_.sizes().of(entry));
  if (!cache_.enabled()) {
    return;
  }
  if (residency_.partly_resident(unit)) {
    cache_.updated(object(unit), residency_.bytes(unit));
  } else {
    cache_.emptied(object(unit));
  }
}

void HeadCache::split(const Change& change) {
  const bool was_resident = residency_.partly_resident(change.unit);
  residency_.recount(change.unit, change.other);
  for (const UnitId part : {change.unit, change.other}) {
    take_in_pending(part, was_resident);
    if (cache_.enabled() && residency_.partly_resident(part)) {
      cache_.updated(object(part), residency_.bytes(part));
    }
  }
  if (cache_.enabled() && was_resident && !residency_.partly_resident(change.unit)) {
    cache_.emptied(object(change.unit));
  }
}

/// What is cached stays; how much of each unit it is has changed.
void HeadCache::regroup() {
  for (UnitId unit = 0; unit < clustering_.unit_count(); ++unit) {
    const bool was_resident = residency_.partly_resident(unit);
    residency_.recount(unit);
    take_in_pending(unit, residency_.partly_resident(unit));
    if (cache_.enabled() && residency_.partly_resident(unit)) {
      cache_.updated(object(unit), residency_.bytes(unit));
    } else if (cache_.enabled() && was_resident) {
      cache_.emptied(object(unit));
    }
  }
}

void HeadCache::take_in_pending(UnitId unit, bool here) {
  for (const EntryIndex entry : clustering_.members(unit)) {
    if (!residency_.entry_pending(entry)) {
      continue;
    }
    residency_.set_pending(entry, false);
    if (here && cache_.enabled()) {
      residency_.add(unit, entry);
      cache_.loaded(residency_.sizes().of(entry));
    }
  }
}

}  // namespace kvr

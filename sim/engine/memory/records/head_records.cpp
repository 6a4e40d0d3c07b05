#include "sim/engine/memory/records/head_records.hpp"

#include <algorithm>
#include <set>

#include "sim/base/error.hpp"

namespace kvr {

HeadRecords::HeadRecords(const HeadPolicies& head, HeadResidency& residency)
    : head_(&head),
      residency_(&residency),
      special_(head.codec().refers() || head.codec().tail() > 0),
      units_(head.clustering()) {}

EntryIndex HeadRecords::next_tail_begin() const {
  const std::int64_t entries = head_->members().front().store().entries();
  return std::max(tail_begin_, static_cast<EntryIndex>(entries - head_->codec().tail()));
}

void HeadRecords::begin() {
  if (!special_) {
    return;
  }
  count_references();
  tail_begin_ = next_tail_begin();
  list_units();
  meet_all();
}

void HeadRecords::count_references() {
  const auto references = head_->codec().references();
  for (; counted_ < references.size(); ++counted_) {
    const auto to = static_cast<std::size_t>(references[counted_].to);
    referrers_.resize(std::max(referrers_.size(), to + 1), 0);
    ++referrers_[to];
  }
}

std::int64_t HeadRecords::referrers(EntryIndex entry) const {
  const auto at = static_cast<std::size_t>(entry);
  return at < referrers_.size() ? referrers_[at] : 0;
}

template <class Visit>
void HeadRecords::for_each_of_tail(Visit visit) const {
  if (head_->codec().tail() == 0) {
    return;
  }
  for (const EntrySet::Interval& one : head_->live().intervals()) {
    for (EntryIndex entry = std::max(one.begin, tail_begin_); entry < one.end; ++entry) {
      visit(entry);
    }
  }
}

/// Of a tail and of held records alone: all other units are as they are.
void HeadRecords::list_units() {
  const Clustering& clustering = head_->clustering();
  std::map<UnitId, std::vector<EntryIndex>> held;
  for (const auto& [entry, how] : held_) {
    if (!how.pending) {
      held[how.unit].push_back(entry);
    }
  }
  for_each_of_tail([&](EntryIndex entry) { held[head_->unit_of(entry)]; });
  units_.reset();
  for (auto& [unit, records] : held) {
    const auto all = clustering.members(unit);
    const auto waiting = clustering.pending(unit);
    std::vector<EntryIndex> members;
    std::vector<EntryIndex> pending(waiting.begin(), waiting.end());
    for (const EntryIndex entry : all) {
      (entry < tail_begin_ ? members : pending).push_back(entry);
    }
    members.insert(members.end(), records.begin(), records.end());
    units_.set(unit, std::move(members), std::move(pending));
  }
}

std::span<const Change> HeadRecords::follow(std::span<const Change> changes) {
  if (!special_) {
    return changes;
  }
  count_references();
  const EntryIndex before = tail_begin_;
  tail_begin_ = next_tail_begin();
  list_units();
  if (head_->codec().tail() == 0) {
    return changes;
  }
  told_.clear();
  for (const Change& change : changes) {
    tell(change, before);
  }
  for (EntryIndex entry = before; entry < tail_begin_; ++entry) {
    if (head_->live().contains(entry) && !residency_->entry_pending(entry)) {
      tell_member(head_->unit_of(entry), entry);
    }
  }
  return told_;
}

void HeadRecords::tell(const Change& change, EntryIndex tail_begin) {
  units_met_.resize(static_cast<std::size_t>(units_.unit_count()), 0);
  switch (change.kind) {
    case ChangeKind::appended:
      if (change.entry < tail_begin) {
        tell_member(change.unit, change.entry);
      }
      break;
    case ChangeKind::created:
      tell_created(change.unit);
      break;
    case ChangeKind::split:
      tell_split(change);
      break;
    case ChangeKind::regrouped:
      meet_all();
      told_.push_back(change);
      break;
    default:
      told_.push_back(change);
  }
}

void HeadRecords::meet(UnitId unit) {
  units_met_[static_cast<std::size_t>(unit)] = 1;
  std::ranges::for_each(units_.members(unit), [this](EntryIndex entry) { meet_entry(entry); });
}

void HeadRecords::meet_entry(EntryIndex entry) {
  const auto at = static_cast<std::size_t>(entry);
  entries_met_.resize(std::max(entries_met_.size(), at + 1), 0);
  entries_met_[at] = 1;
}

void HeadRecords::meet_all() {
  units_met_.resize(static_cast<std::size_t>(units_.unit_count()), 0);
  for (UnitId unit = 0; unit < units_.unit_count(); ++unit) {
    meet(unit);
  }
}

bool HeadRecords::has_met(EntryIndex entry) const {
  const auto at = static_cast<std::size_t>(entry);
  return at < entries_met_.size() && entries_met_[at] != 0;
}

/// A unit is new to the layout once it has a record.
void HeadRecords::tell_created(UnitId unit) {
  if (!units_.members(unit).empty()) {
    meet(unit);
    told_.push_back({.kind = ChangeKind::created, .unit = unit});
  }
}

/// Where all of the new unit is in the tail, the old one may still have taken in pending entries.
void HeadRecords::tell_split(const Change& change) {
  if (units_met_[static_cast<std::size_t>(change.unit)] == 0) {
    tell_created(change.unit);
    tell_created(change.other);
  } else if (!units_.members(change.other).empty()) {
    meet(change.unit);
    meet(change.other);
    told_.push_back(change);
  } else {
    for (const EntryIndex entry : units_.members(change.unit)) {
      tell_member(change.unit, entry);
    }
  }
}

void HeadRecords::tell_member(UnitId unit, EntryIndex entry) {
  if (has_met(entry)) {
    return;
  }
  if (units_met_[static_cast<std::size_t>(unit)] == 0) {
    tell_created(unit);
  } else {
    meet_entry(entry);
    told_.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
  }
}

std::span<const Change> HeadRecords::remove(std::span<const Change> removals) {
  if (!special_ || removals.empty()) {
    return removals;
  }
  told_.clear();
  for (const Change& change : removals) {
    if (referrers(change.entry) > 0) {
      const bool unwritten = residency_->entry_pending(change.entry) || change.entry >= tail_begin_;
      held_.emplace(change.entry, Held{change.unit, unwritten});
    } else {
      let_go(change.unit, change.entry);
    }
  }
  list_units();
  return told_;
}

/// And what was only held for its sake.
void HeadRecords::let_go(UnitId unit, EntryIndex entry) {
  std::vector<Change> open = {{.kind = ChangeKind::removed, .unit = unit, .entry = entry}};
  while (!open.empty()) {
    const Change gone = open.back();
    open.pop_back();
    told_.push_back(gone);
    residency_->set_pending(gone.entry, false);
    for (const EntryIndex to : head_->codec().references(gone.entry)) {
      const auto found = held_.find(to);
      if (--referrers_[static_cast<std::size_t>(to)] == 0 && found != held_.end()) {
        open.push_back({.kind = ChangeKind::removed, .unit = found->second.unit, .entry = to});
        held_.erase(found);
      }
    }
  }
}

void HeadRecords::keep_pending() {
  for (const auto& [entry, how] : held_) {
    if (how.pending) {
      residency_->set_pending(entry, true);
    }
  }
}

bool HeadRecords::in_dram(EntryIndex entry) const {
  return held_.contains(entry) ? residency_->entry_pending(entry) || residency_->entry_unwritten(entry)
                               : residency_->in_dram(entry);
}

UnitId HeadRecords::unit_of(EntryIndex entry) const {
  const auto found = held_.find(entry);
  return found == held_.end() ? head_->unit_of(entry) : found->second.unit;
}

std::vector<EntryIndex> HeadRecords::read_along(std::span<const EntryIndex> entries,
                                                const std::function<bool(EntryIndex)>& here) const {
  std::set<EntryIndex> found;
  std::vector<EntryIndex> open(entries.begin(), entries.end());
  while (!open.empty()) {
    const EntryIndex entry = open.back();
    open.pop_back();
    for (const EntryIndex to : head_->codec().references(entry)) {
      if (!in_dram(to) && !here(to) && found.insert(to).second) {
        open.push_back(to);
      }
    }
  }
  return {found.begin(), found.end()};
}

RecordSum HeadRecords::held() const {
  RecordSum held;
  for (const auto& [entry, how] : held_) {
    held += sizes().sum(entry);
  }
  return held;
}

RecordSum HeadRecords::waiting() const {
  RecordSum waiting;
  for (const auto& [entry, how] : held_) {
    if (how.pending || (residency_->entry_unwritten(entry) && !residency_->candidates().contains(entry))) {
      waiting += sizes().sum(entry);
    }
  }
  return waiting;
}

RecordSum HeadRecords::tail() const {
  RecordSum tail;
  for_each_of_tail([&](EntryIndex entry) { tail += sizes().sum(entry); });
  return tail;
}

std::span<const EntryIndex> HeadRecords::unwritten(std::span<const EntryIndex> by_layout) {
  if (head_->codec().tail() == 0) {
    return by_layout;
  }
  unwritten_.assign(by_layout.begin(), by_layout.end());
  for_each_of_tail([&](EntryIndex entry) { unwritten_.push_back(entry); });
  return unwritten_;
}

void HeadRecords::check() const {
  std::vector<std::int64_t> counted(referrers_.size(), 0);
  const auto count = [&](EntryIndex from) {
    for (const EntryIndex to : head_->codec().references(from)) {
      KVR_CHECK(head_->live().contains(to) || held_.contains(to),
                "the record of entry {} refers to that of {}, which is not kept", from, to);
      ++counted[static_cast<std::size_t>(to)];
    }
  };
  head_->live().for_each(count);
  for (const auto& [entry, how] : held_) {
    KVR_CHECK(!head_->live().contains(entry) && referrers(entry) > 0,
              "the record of entry {}, to which {} refer, is held", entry, referrers(entry));
    count(entry);
  }
  KVR_CHECK(counted == referrers_, "records refer to others than were counted");
}

}  // namespace kvr

#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr::test {

/// A clustering that does anything at random but stays small: it removes entries again. The test calls `join`
/// with every new entry and `evict` after it.
class EvictingUnits final : public Clustering {
 public:
  static constexpr std::int64_t kUnits = 12;        ///< units at once that hold anything
  static constexpr std::int64_t kUnitEntries = 12;  ///< of a unit
  static constexpr std::int64_t kLiveEntries = 64;  ///< of all units, after `evict`
  /// oldest: all but four sinks are a sliding window; any: as by their scores; units: a whole unit goes.
  enum class Victims { oldest, any, units };

  EvictingUnits(Rng& rng, Victims victims) : rng_(rng), victims_(victims) {}

  void join(EntryIndex entry, ChangeList& changes) {
    if (rng_.below(16) == 0) {
      split(changes);
    }
    live_.push_back(entry);
    const std::uint64_t choice = rng_.below(16);
    if (const UnitId unit = choice < 2 ? -1 : with_room(); unit < 0) {
      changes.push_back({.kind = ChangeKind::created, .unit = add({{entry}, {}})});
    } else if (choice == 2) {
      at(unit).pending.push_back(entry);
      changes.push_back({.kind = ChangeKind::buffered, .unit = unit, .entry = entry});
    } else {
      at(unit).members.push_back(entry);
      changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    }
    if (rng_.below(100) == 0) {
      regroup(changes);
    }
  }

  /// Within the limits again, and sometimes well below them.
  void evict(ChangeList& changes) {
    const auto spared = static_cast<std::int64_t>(rng_.below(8) == 0 ? rng_.below(40) : 0);
    while (std::ssize(live_) > kLiveEntries - spared || std::ssize(used_) > kUnits) {
      const bool whole = victims_ == Victims::units || std::ssize(used_) > kUnits;
      for (const EntryIndex entry : whole ? entries_of(any(used_)) : std::vector<EntryIndex>{victim()}) {
        evict(entry, changes);
      }
    }
  }

  /// The units that hold anything.
  const std::vector<UnitId>& used() const { return used_; }

  void build(const HeadView&, const EntrySet&, ChangeList&, Work&) override {}
  void append(EntryIndex, const HeadView&, const ResidentUnits&, ChangeList&, Work&) override {}
  std::int64_t unit_count() const override { return std::ssize(units_); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return units_[static_cast<std::size_t>(unit)].members;
  }
  std::span<const EntryIndex> pending(UnitId unit) const override {
    return units_[static_cast<std::size_t>(unit)].pending;
  }
  std::int64_t dram_bytes() const override { return 0; }

 private:
  struct Unit {
    std::vector<EntryIndex> members;
    std::vector<EntryIndex> pending;
  };

  Unit& at(UnitId unit) { return units_[static_cast<std::size_t>(unit)]; }
  std::int64_t size(UnitId unit) const { return std::ssize(members(unit)) + std::ssize(pending(unit)); }
  UnitId any(const std::vector<UnitId>& units) {
    return units.empty() ? -1 : units[rng_.below(units.size())];
  }

  UnitId add(Unit unit) {
    units_.push_back(std::move(unit));
    used_.push_back(static_cast<UnitId>(units_.size() - 1));
    return used_.back();
  }

  /// Now and then one that has nothing left; -1: none.
  UnitId with_room() {
    if (!units_.empty() && rng_.below(8) == 0) {
      if (const auto unit = static_cast<UnitId>(rng_.below(units_.size())); size(unit) == 0) {
        used_.push_back(unit);
        return unit;
      }
    }
    std::vector<UnitId> units = used_;
    std::erase_if(units, [this](UnitId unit) { return size(unit) >= kUnitEntries; });
    return any(units);
  }

  std::vector<EntryIndex> entries_of(UnitId unit) const {
    std::vector<EntryIndex> entries(members(unit).begin(), members(unit).end());
    entries.insert(entries.end(), pending(unit).begin(), pending(unit).end());
    return entries;
  }

  EntryIndex victim() {
    constexpr std::size_t kSinks = 4;
    return live_[victims_ == Victims::oldest && live_.size() > kSinks ? kSinks : rng_.below(live_.size())];
  }

  void evict(EntryIndex entry, ChangeList& changes) {
    std::erase(live_, entry);
    for (const UnitId unit : used_) {
      if (std::erase(at(unit).members, entry) + std::erase(at(unit).pending, entry) > 0) {
        changes.push_back({.kind = ChangeKind::removed, .unit = unit, .entry = entry});
      }
    }
    std::erase_if(used_, [this](UnitId unit) { return size(unit) == 0; });
  }

  void split(ChangeList& changes) {
    const UnitId unit = any(used_);
    if (unit < 0 || size(unit) < 2) {
      return;
    }
    const std::vector<EntryIndex> entries = entries_of(unit);
    Unit kept;
    Unit given;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      (i > 0 && (i == 1 || rng_.below(2) == 0) ? given : kept).members.push_back(entries[i]);
    }
    at(unit) = kept;
    changes.push_back({.kind = ChangeKind::split, .unit = unit, .other = add(given)});
  }

  /// Members change places between units, which keep their sizes; what was pending has a place.
  void regroup(ChangeList& changes) {
    std::vector<EntryIndex> entries;
    std::vector<std::int64_t> sizes;
    for (const UnitId unit : used_) {
      const std::vector<EntryIndex> here = entries_of(unit);
      entries.insert(entries.end(), here.begin(), here.end());
      sizes.push_back(std::ssize(here));
    }
    for (std::size_t i = entries.size(); i > 1; --i) {
      std::swap(entries[i - 1], entries[rng_.below(i)]);
    }
    auto next = entries.begin();
    auto size = sizes.begin();
    for (const UnitId unit : used_) {
      const auto end = next + *size++;
      at(unit) = {{next, end}, {}};
      next = end;
    }
    changes.push_back({.kind = ChangeKind::regrouped, .unit = -1});
  }

  Rng& rng_;
  Victims victims_;
  std::vector<Unit> units_;
  std::vector<UnitId> used_;
  std::vector<EntryIndex> live_;  // by age
};

}  // namespace kvr::test

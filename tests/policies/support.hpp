#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr::test {

template <class Interface>
std::unique_ptr<Interface> make(std::string_view name, const ParamValues& values,
                                const typename Interface::Context& context) {
  return Registry<Interface>::instance().create(name, values, context);
}

/// Keys and values of one head, in fp16 as in a trace; views end at any entry.
class Sequence {
 public:
  /// `keys`: [entries, head_dim]; the values are the keys once more.
  Sequence(std::vector<float> keys, std::int64_t head_dim)
      : keys_(std::move(keys)), halves_(keys_.size()), d_(head_dim) {
    to_half(keys_, halves_);
    to_float(halves_, keys_);
  }

  static Sequence random(std::int64_t entries, std::int64_t head_dim, Rng& rng) {
    std::vector<float> keys(static_cast<std::size_t>(entries * head_dim));
    std::ranges::generate(keys, [&rng] { return static_cast<float>(rng.normal()); });
    return Sequence(std::move(keys), head_dim);
  }

  HeadView view(std::int64_t entries) const {
    const auto rows = matrix_view<Half>(halves_.data(), entries, d_);
    return {rows, rows};
  }
  /// What fp16 made of the key.
  std::span<const float> key(std::int64_t entry) const {
    return std::span(keys_).subspan(static_cast<std::size_t>(entry * d_), static_cast<std::size_t>(d_));
  }
  std::int64_t head_dim() const { return d_; }

 private:
  std::vector<float> keys_;
  std::vector<Half> halves_;
  std::int64_t d_;
};

struct NothingResident final : ResidentUnits {
  bool resident(UnitId) const override { return false; }
};

inline std::vector<EntryIndex> copy(std::span<const EntryIndex> entries) {
  return {entries.begin(), entries.end()};
}

/// All members and pending entries of all units, ascending: 0, 1, 2 ... where the units are a partition.
inline std::vector<EntryIndex> all_entries(const Clustering& clustering) {
  std::vector<EntryIndex> entries;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    const auto members = clustering.members(unit);
    const auto pending = clustering.pending(unit);
    entries.insert(entries.end(), members.begin(), members.end());
    entries.insert(entries.end(), pending.begin(), pending.end());
  }
  std::ranges::sort(entries);
  return entries;
}

inline std::vector<EntryIndex> first_entries(std::int64_t count) {
  std::vector<EntryIndex> entries(static_cast<std::size_t>(count));
  std::iota(entries.begin(), entries.end(), 0);
  return entries;
}

inline double plain_dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

/// Some of what a clustering holds, ascending; now and then all of a unit.
inline std::vector<EntryIndex> to_remove(const Clustering& clustering, Rng& rng) {
  std::vector<EntryIndex> entries;
  if (rng.below(8) == 0) {
    entries = copy(clustering.members(
        static_cast<UnitId>(rng.below(static_cast<std::uint64_t>(clustering.unit_count())))));
  } else {
    entries = all_entries(clustering);
    std::erase_if(entries, [&rng](EntryIndex) { return rng.below(40) > 0; });
  }
  std::ranges::sort(entries);
  return entries;
}

/// A clustering that does anything the contract allows, at random: what listeners to its changes must stand.
class RandomClustering final : public Clustering {
 public:
  /// Regroups all units before one of `regroup_one_in` entries on average; 0: never.
  explicit RandomClustering(Rng& rng, std::uint64_t regroup_one_in = 0)
      : rng_(rng), regroup_one_in_(regroup_one_in) {}

  using Clustering::build;
  void build(const HeadView& prompt, const EntrySet&, ChangeList& changes, Work&) override {
    for (EntryIndex entry = 0; entry < prompt.entries(); ++entry) {
      if (units_.empty() || rng_.below(4) == 0) {
        changes.push_back({.kind = ChangeKind::created, .unit = new_unit()});
        units_.back().members.push_back(entry);
      } else {
        at(any_unit()).members.push_back(entry);
      }
    }
  }

  void append(EntryIndex entry, const HeadView&, const ResidentUnits&, ChangeList& changes, Work&) override {
    if (rng_.below(4) == 0) {  // as `loaded` may do, whose changes the engine puts into the same list
      split(any_unit(), changes);
    }
    const std::uint64_t choice = rng_.below(8);
    const UnitId unit = any_unit();
    if (choice == 0) {
      changes.push_back({.kind = ChangeKind::created, .unit = new_unit()});
      units_.back().members.push_back(entry);
    } else if (choice == 1) {
      at(unit).pending.push_back(entry);
      changes.push_back({.kind = ChangeKind::buffered, .unit = unit, .entry = entry});
      changes.push_back({.kind = ChangeKind::wants_load, .unit = unit});
    } else {
      at(unit).members.push_back(entry);
      changes.push_back({.kind = ChangeKind::appended, .unit = unit, .entry = entry});
    }
    for (std::uint64_t splits = rng_.below(3); choice > 5 && splits > 0; --splits) {
      split(choice == 6 ? unit : any_unit(), changes);
    }
    if (regroup_one_in_ > 0 && rng_.below(regroup_one_in_) == 0) {
      regroup(changes);
    }
  }

  void remove(std::span<const EntryIndex> entries, const HeadView&, ChangeList& changes, Work&) override {
    for (UnitId unit = 0; unit < unit_count(); ++unit) {
      for (std::vector<EntryIndex>* list : {&at(unit).members, &at(unit).pending}) {
        std::erase_if(*list, [&](EntryIndex entry) {
          const bool gone = std::ranges::binary_search(entries, entry);
          if (gone) {
            changes.push_back({.kind = ChangeKind::removed, .unit = unit, .entry = entry});
          }
          return gone;
        });
      }
    }
  }

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
  UnitId any_unit() { return static_cast<UnitId>(rng_.below(units_.size())); }
  UnitId new_unit() {
    units_.emplace_back();
    return static_cast<UnitId>(units_.size() - 1);
  }

  void split(UnitId unit, ChangeList& changes) {
    std::vector<EntryIndex> entries = at(unit).members;
    entries.insert(entries.end(), at(unit).pending.begin(), at(unit).pending.end());
    if (entries.size() < 2) {
      return;
    }
    const UnitId other = new_unit();
    at(unit) = {{entries.front()}, {}};
    at(other).members = {entries.back()};
    for (std::size_t i = 1; i + 1 < entries.size(); ++i) {
      at(rng_.below(2) == 0 ? unit : other).members.push_back(entries[i]);
    }
    changes.push_back({.kind = ChangeKind::split, .unit = unit, .other = other});
  }

  /// Every unit gets one entry, the others go anywhere; what was pending stays so or not, as it happens.
  void regroup(ChangeList& changes) {
    std::vector<EntryIndex> entries;
    for (Unit& unit : units_) {
      entries.insert(entries.end(), unit.members.begin(), unit.members.end());
      const std::size_t freed = rng_.below(unit.pending.size() + 1);
      entries.insert(entries.end(), unit.pending.begin(), unit.pending.begin() + static_cast<long>(freed));
      unit.pending.erase(unit.pending.begin(), unit.pending.begin() + static_cast<long>(freed));
      unit.members.clear();
    }
    std::shuffle(entries.begin(), entries.end(), Shuffled{rng_});
    if (entries.size() > units_.size()) {
      new_unit();
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      at(i < units_.size() ? static_cast<UnitId>(i) : any_unit()).members.push_back(entries[i]);
    }
    changes.push_back({.kind = ChangeKind::regrouped, .unit = -1});
  }

  struct Shuffled {
    using result_type = std::uint64_t;
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return 0xffff; }
    result_type operator()() { return rng.below(0x10000); }
    Rng& rng;
  };

  Rng& rng_;
  std::uint64_t regroup_one_in_;
  std::vector<Unit> units_;
};

}  // namespace kvr::test

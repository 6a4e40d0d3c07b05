#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "sim/interfaces/layout.hpp"
#include "tests/policies/support.hpp"

namespace kvr::test {

using Offsets = std::vector<std::int64_t>;

/// Units that the test sets at will.
struct Units final : Clustering {
  std::vector<std::vector<EntryIndex>> units;

  using Clustering::build;
  void build(const HeadView&, const EntrySet&, ChangeList&, Work&) override {}
  void append(EntryIndex, const HeadView&, const ResidentUnits&, ChangeList&, Work&) override {}
  std::int64_t unit_count() const override { return std::ssize(units); }
  std::span<const EntryIndex> members(UnitId unit) const override {
    return units[static_cast<std::size_t>(unit)];
  }
  std::int64_t dram_bytes() const override { return 0; }
};

/// One head, entries of 100 bytes, blocks of 400; `traffic` is that of the last call.
struct OneHead {
  Units units;
  std::unique_ptr<Layout> layout;
  LayoutTraffic traffic;

  OneHead(const std::string& name, const ParamValues& values, std::vector<std::vector<EntryIndex>> prompt,
          std::vector<CoRetrieval> co_retrieval = {}) {
    units.units = std::move(prompt);
    layout =
        make<Layout>(name, values, {.kv_heads = 1, .entry_bytes = 100, .block_bytes = 400, .root_seed = 1});
    const Clustering* head = &units;
    layout->place({.heads = {&head, 1}, .co_retrieval = {&co_retrieval, 1}}, traffic);
  }

  void update(std::vector<Change> changes) {
    traffic.clear();
    layout->update(0, changes, units, traffic);
  }

  void append(UnitId unit, EntryIndex entry) {
    units.units[static_cast<std::size_t>(unit)].push_back(entry);
    update({{.kind = ChangeKind::appended, .unit = unit, .entry = entry}});
  }

  /// `unit` keeps `kept`, a new unit takes `given`.
  void split(UnitId unit, std::vector<EntryIndex> kept, std::vector<EntryIndex> given) {
    units.units[static_cast<std::size_t>(unit)] = std::move(kept);
    units.units.push_back(std::move(given));
    update({{.kind = ChangeKind::split, .unit = unit, .other = static_cast<UnitId>(units.unit_count() - 1)}});
  }

  void create(std::vector<EntryIndex> members) {
    units.units.push_back(std::move(members));
    update({{.kind = ChangeKind::created, .unit = static_cast<UnitId>(units.unit_count() - 1)}});
  }

  /// Entries that are in no unit are removed from unit 0, as pending ones.
  void remove(const std::vector<EntryIndex>& entries) {
    std::vector<Change> changes;
    for (const EntryIndex entry : entries) {
      changes.push_back({.kind = ChangeKind::removed, .unit = 0, .entry = entry});
      for (UnitId unit = 0; unit < units.unit_count(); ++unit) {
        if (std::erase(units.units[static_cast<std::size_t>(unit)], entry) > 0) {
          changes.back().unit = unit;
        }
      }
    }
    update(changes);
  }

  /// What no removal does by itself.
  bool wrote() const {
    return !traffic.writes.empty() || !traffic.moved.empty() || traffic.appended_bytes > 0 ||
           traffic.outgrown > 0;
  }

  std::vector<EntryIndex> unwritten() const { return copy(layout->unwritten(0)); }

  /// Where the entries lie, in member order; -1 for those not written yet.
  Offsets offsets(UnitId unit) const {
    Offsets result;
    const std::vector<EntryIndex> waiting = unwritten();
    for (const EntryIndex entry : units.members(unit)) {
      std::vector<Extent> extents;
      if (std::ranges::find(waiting, entry) == waiting.end()) {
        layout->locate(0, unit, {&entry, 1}, extents);
      }
      result.push_back(extents.empty() ? -1 : extents.front().offset_bytes);
    }
    return result;
  }

  std::vector<EntryIndex> moved() const {
    std::vector<EntryIndex> entries;
    std::ranges::transform(traffic.moved, std::back_inserter(entries), &MovedRecord::entry);
    return entries;
  }
};

}  // namespace kvr::test

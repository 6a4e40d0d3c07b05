#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <span>
#include <vector>

#include "sim/config/stage_config.hpp"
#include "sim/engine/walk/candidates.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What a stage may choose from.
struct Candidates {
  CandidateRange range;
  std::span<const std::uint8_t> within = {};  ///< [entries]: 1 where an earlier stage chose it; empty: all

  bool contains(EntryIndex entry) const {
    return range.contains(entry) && (within.empty() || within[static_cast<std::size_t>(entry)] != 0);
  }
};

/// Replaces a row of logits by its softmax; a row of nothing but -infinity stays as it is.
void softmax_in_place(std::span<float> row);

/// Folds `scores` [group, units] in place of the policy: rows [1 or group (Fold::none), units].
/// `scores` is used as scratch space.
void fold_scores(const MatrixRef<float>& scores, Norm norm, Fold fold, std::vector<float>& folded);

/// What one list of scores selects.
struct UnitChoice {
  UnitId unit;
  std::int32_t first;  ///< the unit's entries lie in Selection::entries[first, first + count)
  std::int32_t count;
};

/// Entries in order of the rank of their units, member order within a unit.
struct Selection {
  std::vector<UnitChoice> units;
  std::vector<EntryIndex> entries;

  void clear() {
    units.clear();
    entries.clear();
  }
  void append(UnitId unit, std::span<const EntryIndex> of_unit) {
    units.push_back(
        {unit, static_cast<std::int32_t>(entries.size()), static_cast<std::int32_t>(of_unit.size())});
    entries.insert(entries.end(), of_unit.begin(), of_unit.end());
  }
};

/// The entries of one unit of a selection.
inline std::span<const EntryIndex> entries_of(const Selection& selection, const UnitChoice& choice) {
  return std::span(selection.entries)
      .subspan(static_cast<std::size_t>(choice.first), static_cast<std::size_t>(choice.count));
}

/// Takes units by descending score (ties: lower unit) until `budget` candidates are selected.
/// Units without candidates are passed over and cost nothing.
void select_units(std::span<const float> scores, const Clustering& clustering, const Candidates& candidates,
                  std::int64_t budget, LastUnit last_unit, Selection& selection);

/// What is left of the candidates once `selection` was taken of them, unit by unit in the same order, until
/// a unit has more than is left of `budget`.
void sketch_units(std::span<const float> scores, const Clustering& clustering, const Candidates& candidates,
                  const Selection& selection, std::int64_t budget, std::vector<SketchedUnit>& sketched);

/// What `allowed` lets through of a selection, in its order.
template <class Allowed>
void narrow(const Selection& from, Allowed allowed, Selection& to) {
  to.clear();
  for (const UnitChoice& choice : from.units) {
    const auto first = static_cast<std::int32_t>(to.entries.size());
    std::ranges::copy_if(entries_of(from, choice), std::back_inserter(to.entries), allowed);
    const auto count = static_cast<std::int32_t>(to.entries.size()) - first;
    if (count > 0) {
      to.units.push_back({choice.unit, first, count});
    }
  }
}

/// The union of the selections of a group's query heads: each unit once, ordered by its best rank, each entry
/// once. With one selection it is that selection.
void unite(std::span<const Selection> selections, Selection& united);

/// `entries`, best first, by the units of another clustering: units in the order of their best entry.
template <class UnitOf>
void regroup(std::span<const EntryIndex> entries, UnitOf unit_of, Selection& selection) {
  std::vector<UnitId> order;
  std::map<UnitId, std::vector<EntryIndex>> of_unit;
  for (const EntryIndex entry : entries) {
    std::vector<EntryIndex>& members = of_unit[unit_of(entry)];
    if (members.empty()) {
      order.push_back(unit_of(entry));
    }
    members.push_back(entry);
  }
  selection.clear();
  for (const UnitId unit : order) {
    selection.append(unit, of_unit[unit]);
  }
}

}  // namespace kvr

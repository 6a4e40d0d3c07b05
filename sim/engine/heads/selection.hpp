#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/walk/candidates.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// How the scores of a group's query heads become one score per unit.
enum class Fold { none, mean, max, sum };
/// What happens to a query head's scores before they are folded.
enum class Norm { none, softmax };
/// What happens to the unit that no longer fits the budget: taken in part, in member order, or left out.
enum class LastUnit { cut, drop };

Fold fold_of(const std::string& name);
Norm norm_of(const std::string& name);
LastUnit last_unit_of(const std::string& name);

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
};

/// The entries of one unit of a selection.
inline std::span<const EntryIndex> entries_of(const Selection& selection, const UnitChoice& choice) {
  return std::span(selection.entries)
      .subspan(static_cast<std::size_t>(choice.first), static_cast<std::size_t>(choice.count));
}

/// Takes units by descending score (ties: lower unit) until `budget` candidates are selected.
/// Units without candidates are passed over and cost nothing.
void select_units(std::span<const float> scores, const Clustering& clustering,
                  const CandidateRange& candidates, std::int64_t budget, LastUnit last_unit,
                  Selection& selection);

/// The union of the selections of a group's query heads: each unit once, ordered by its best rank, each entry
/// once. With one selection it is that selection.
void unite(std::span<const Selection> selections, Selection& united);

}  // namespace kvr

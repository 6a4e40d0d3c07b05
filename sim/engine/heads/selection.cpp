#include "sim/engine/heads/selection.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/kernels/softmax.hpp"
#include "sim/kernels/topk.hpp"

namespace kvr {
namespace {

void fold_row(Fold fold, std::span<const float> row, std::span<float> into) {
  for (std::size_t u = 0; u < into.size(); ++u) {
    into[u] = fold == Fold::max ? std::max(into[u], row[u]) : into[u] + row[u];
  }
}

}  // namespace

void softmax_in_place(std::span<float> row) {
  const std::vector<float> logits(row.begin(), row.end());
  const float peak = *std::max_element(logits.begin(), logits.end());
  if (peak == -std::numeric_limits<float>::infinity()) {
    return;
  }
  const auto scale = static_cast<float>(1.0 / kernels::exp_weights(logits, peak, row));
  for (float& x : row) {
    x *= scale;
  }
}

void fold_scores(const MatrixRef<float>& scores, Norm norm, Fold fold, std::vector<float>& folded) {
  folded.clear();
  if (scores.cols == 0) {
    return;
  }
  const auto units = static_cast<std::size_t>(scores.cols);
  for (std::int64_t g = 0; g < scores.rows; ++g) {
    const std::span<float> row = scores.row(g);
    if (norm == Norm::softmax) {
      softmax_in_place(row);
    }
    if (fold == Fold::none || g == 0) {
      folded.insert(folded.end(), row.begin(), row.end());
    } else {
      fold_row(fold, row, std::span(folded).first(units));
    }
  }
  if (fold == Fold::mean) {
    const auto share = 1.0F / static_cast<float>(scores.rows);
    for (float& x : folded) {
      x *= share;
    }
  }
}

void select_units(std::span<const float> scores, const Clustering& clustering, const Candidates& candidates,
                  std::int64_t budget, LastUnit last_unit, Selection& selection) {
  selection.clear();
  kernels::LazyRanking ranking(scores);
  auto left = static_cast<std::size_t>(std::max<std::int64_t>(budget, 0));
  while (left > 0 && !ranking.done()) {
    const UnitId unit = ranking.next();
    const std::size_t first = selection.entries.size();
    for (const EntryIndex entry : clustering.members(unit)) {
      if (candidates.contains(entry)) {
        selection.entries.push_back(entry);
      }
    }
    std::size_t count = selection.entries.size() - first;
    if (count > left) {
      count = last_unit == LastUnit::cut ? left : 0;
      selection.entries.resize(first + count);
      left = 0;
    } else {
      left -= count;
    }
    if (count > 0) {
      selection.units.push_back({unit, static_cast<std::int32_t>(first), static_cast<std::int32_t>(count)});
    }
  }
}

void sketch_units(std::span<const float> scores, const Clustering& clustering, const Candidates& candidates,
                  const Selection& selection, std::int64_t budget, std::vector<SketchedUnit>& sketched) {
  std::vector<std::int32_t> selected(scores.size(), 0);
  for (const UnitChoice& choice : selection.units) {
    selected[static_cast<std::size_t>(choice.unit)] = choice.count;
  }
  sketched.clear();
  kernels::LazyRanking ranking(scores);
  while (budget > 0 && !ranking.done()) {
    const UnitId unit = ranking.next();
    const auto candidates_of_unit = std::ranges::count_if(
        clustering.members(unit), [&](EntryIndex entry) { return candidates.contains(entry); });
    const auto left =
        static_cast<std::int32_t>(candidates_of_unit) - selected[static_cast<std::size_t>(unit)];
    if (left > budget) {
      return;
    }
    if (left > 0) {
      sketched.push_back({unit, left});
      budget -= left;
    }
  }
}

void unite(std::span<const Selection> selections, Selection& united) {
  united.clear();
  if (selections.size() == 1) {
    united = selections.front();
    return;
  }
  // A unit that is cut differently by two query heads contributes the longer cut: cuts are prefixes.
  struct Ranked {
    UnitId unit;
    std::size_t rank;
    std::span<const EntryIndex> entries;
  };
  std::vector<Ranked> all;
  for (const Selection& selection : selections) {
    for (std::size_t rank = 0; rank < selection.units.size(); ++rank) {
      const UnitChoice& choice = selection.units[rank];
      all.push_back({choice.unit, rank, entries_of(selection, choice)});
    }
  }
  std::sort(all.begin(), all.end(), [](const Ranked& a, const Ranked& b) {
    return a.unit != b.unit ? a.unit < b.unit : a.entries.size() > b.entries.size();
  });
  std::vector<Ranked> units;
  for (const Ranked& one : all) {
    if (units.empty() || units.back().unit != one.unit) {
      units.push_back(one);
    } else {
      units.back().rank = std::min(units.back().rank, one.rank);
    }
  }
  std::sort(units.begin(), units.end(), [](const Ranked& a, const Ranked& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.unit < b.unit;
  });
  for (const Ranked& one : units) {
    united.append(one.unit, one.entries);
  }
}

}  // namespace kvr

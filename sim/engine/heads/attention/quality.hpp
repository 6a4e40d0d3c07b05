#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/walk/candidates.hpp"
#include "sim/engine/walk/truth.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What one head's step came to, averaged over the query heads of its group. NaN: it has no value.
struct HeadQuality {
  double recall = 0.0;           ///< of the true best that were open, as many as could be chosen
  double mass = 0.0;             ///< true softmax over all that was attended to
  double relative_mass = 0.0;    ///< mass over that of the best selection of as many entries
  double output_error = 0.0;     ///< ||o_attended - o|| / ||o||
  double selected = 0.0;         ///< entries chosen (pending ones that count included), without pins
  double attended = 0.0;         ///< entries attention saw, pins and the current one included
  double estimated = 0.0;        ///< entries that are not read, which sketches of their units stand for
  double retained = 0.0;         ///< share of all entries that no stage removed
  double retained_mass = 0.0;    ///< true softmax over those
  double retained_recall = 0.0;  ///< share of the best of `recall` that no stage removed
  double needed_loaded = 0.0;    ///< share attended to of the fewest entries with 95 % of the true softmax
  double span_true_mass = 0.0;   ///< true softmax over the recorded span
  double span_mass = 0.0;        ///< the same over what of it was attended to
};

/// What one query head attended to, with what it could have.
struct Attended {
  std::span<const EntryIndex> entries;
  std::span<const std::uint8_t> marked;  ///< [entries that exist]: 1 where in `entries`
  std::int64_t chosen;                   ///< of them, neither pinned nor current
  std::int64_t estimated;                ///< not among them, but counted in `out`
  std::span<const float> out;            ///< [head_dim]
  const EntrySet& live;
  CandidateRange range;  ///< neither pinned nor current; removed ones included
  std::int64_t budget;   ///< entries that it was allotted
  std::int64_t pending;  ///< of `range`, those that are attended to in any case, as part of the budget
  /// Of `range`, ascending, those that are attended to on top of the budget: no candidates, as pins are none.
  std::span<const EntryIndex> free = {};
  CandidateRange span = {};  ///< what is recorded apart

  bool is_candidate(EntryIndex entry) const {
    return range.contains(entry) && !std::ranges::binary_search(free, entry);
  }
};

/// The entries that recall counts: of the candidates the truly heaviest, as many as could be chosen; best
/// first.
std::vector<EntryIndex> best_open(const Attended& attended, std::int64_t query, HeadTruth& truth);

/// Adds `share` of what query head `query` came to.
void add_quality(const Attended& attended, std::int64_t query, HeadTruth& truth, double share,
                 HeadQuality& quality);

}  // namespace kvr

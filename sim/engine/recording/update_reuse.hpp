#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "sim/engine/heads/selection.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/results/metrics.hpp"

namespace kvr {

/// How soon the units of one head that a step updated are demanded again. Updated is a unit that an entry was
/// appended to, and both parts of a split; entries that wait update nothing. A unit that is split later keeps
/// its name for the part that stays; the other part counts from then on. A regrouping is no update, as it is
/// of all units alike; they keep their names.
class UpdateReuse {
 public:
  /// One call for each step, in order: what the step demanded, then what it changed.
  void follow(std::span<const UnitChoice> demanded, std::span<const Change> changes);
  /// Units that the last step updated.
  std::int64_t updated() const { return std::ssize(steps_.front()); }
  /// Of the units updated `within` (one of kWindows) steps before the last step: how many were demanded in
  /// the `within` steps since. Nothing where there was no such step.
  std::optional<std::int64_t> reused(std::int64_t within) const;

 private:
  struct Updated {
    UnitId unit;
    std::int64_t reused_after = 0;  ///< steps; 0: not yet
  };

  std::deque<std::vector<Updated>> steps_;  ///< newest first
};

}  // namespace kvr

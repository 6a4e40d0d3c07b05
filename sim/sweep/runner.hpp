#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/replay.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/results/outline.hpp"
#include "sim/sweep/failure.hpp"
#include "sim/sweep/groups.hpp"
#include "sim/sweep/store.hpp"
#include "sim/sweep/trace_files.hpp"

namespace kvr::sweep {

/// What there is to replay, and where finished points go.
struct Work {
  std::span<const RunConfig> points;  ///< of the configuration
  std::span<const std::string> keys;  ///< theirs
  std::vector<Group> groups;          ///< what is to be done of it, in this order
  TraceFiles& traces;
  const Store* store;  ///< null: only outlines are wanted
};

/// How far the work is.
struct Advance {
  double points;           ///< that are done, with parts of those at hand
  std::size_t at_hand;     ///< so many points are being replayed
  std::int64_t steps = 0;  ///< that these have behind them, all together
  std::int64_t of = 0;     ///< so many, as far as it is known
};

/// Who is told what happens to points, in the process that runs them.
struct Listener {
  /// Of the point at a place, replayed and in the store, if there is one; or why it could not be put there.
  std::function<void(std::size_t place, PointOutline outline, std::optional<std::string> not_stored)>
      finished;
  std::function<void(std::size_t place, Failure failure)> failed;
  /// Called often. What it throws ends the work.
  std::function<void(const Advance& advance)> advanced;
};

/// Replays the groups one after another in this process. `timeline` may be null.
/// Where a group fails, each of its points is replayed alone, so that a failure is told of whose it is and
/// costs no other.
void run_here(const Work& work, const Listener& listener, Timeline* timeline);

/// The same in `jobs` processes, each of which takes the next group when it is done with one, pinned to
/// processors of their own where there are enough. A process that dies is a failure of the point it was at.
/// Closes the traces of this process. Throws SystemError where no process can be made.
void run_in_workers(const Work& work, std::int64_t jobs, const Listener& listener);

/// Replays a group; throws as `replay_together` does, SystemError for want of memory.
std::vector<PointResult> replay_group(const Work& work, const Group& group, const Progress& progress,
                                      Timeline* timeline);
/// Puts what `replay_group` gave into the store, and tells; nothing where it gave nothing.
void finish_group(const Work& work, const Group& group, std::span<const PointResult> results,
                  const Listener& listener);

}  // namespace kvr::sweep

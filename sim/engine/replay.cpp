#include "sim/engine/replay.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <tuple>

#include "sim/base/error.hpp"
#include "sim/engine/memory/access_record.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/point_replay.hpp"
#include "sim/engine/walk/trace_demands.hpp"
#include "sim/engine/walk/trace_walk.hpp"

namespace kvr {
namespace {

/// Counts steps towards a total.
class StepCounter {
 public:
  StepCounter(const Progress& progress, std::int64_t total) : progress_(progress), total_(total) {}

  void count() {
    ++done_;
    if (progress_) {
      progress_(done_, total_);
    }
  }

 private:
  const Progress& progress_;
  std::int64_t total_;
  std::int64_t done_ = 0;
};

/// The accesses of a point to its caches, from a replay that judges nothing.
AccessRecord accesses_of(const RunConfig& config, const trace::Reader& trace, StepCounter& counter) {
  AccessRecord accesses;
  const StepRange steps = step_range(config, trace.header());
  TraceWalk walk(trace, steps, config.threads);
  PointReplay replay(config, walk, &accesses);
  walk.enter_prompt();
  replay.load_prompt();
  for (std::int64_t i = 0; i < steps.count; ++i) {
    walk.enter(steps.first_position + i);
    replay.step_policies(i);
    counter.count();
  }
  accesses.set_complete();
  return accesses;
}

}  // namespace

bool same_walk(const RunConfig& a, const RunConfig& b) {
  const auto walk = [](const RunConfig& c) {
    return std::tie(c.trace_path, c.first_step, c.steps, c.threads);
  };
  return walk(a) == walk(b);
}

std::vector<PointResult> replay_together(std::span<const RunConfig> points, const trace::Reader& trace,
                                         const Progress& progress, Timeline* timeline) {
  const RunConfig& first = points.front();
  KVR_CHECK(std::ranges::all_of(points, [&](const RunConfig& p) { return same_walk(first, p); }),
            "points of different walks");
  const StepRange steps = step_range(first, trace.header());
  const auto oracles = std::ranges::count_if(points, needs_future);
  StepCounter counter(progress, steps.count * (std::ssize(points) + oracles));
  std::vector<AccessRecord> accesses(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (needs_future(points[i])) {
      accesses[i] = accesses_of(points[i], trace, counter);
    }
  }
  TraceWalk walk(trace, steps, first.threads);
  std::deque<PointReplay> replays;  // which stay where they are
  for (std::size_t i = 0; i < points.size(); ++i) {
    replays.emplace_back(points[i], walk, needs_future(points[i]) ? &accesses[i] : nullptr);
  }
  walk.enter_prompt();
  for (PointReplay& replay : replays) {
    replay.begin(timeline);
    replay.load_prompt();
  }
  for (std::int64_t i = 0; i < steps.count; ++i) {
    walk.enter(steps.first_position + i);
    for (PointReplay& replay : replays) {
      replay.step(steps.first_position + i, timeline);
      counter.count();
    }
  }
  std::vector<PointResult> results;
  std::ranges::transform(replays, std::back_inserter(results), &PointReplay::finish);
  return results;
}

PointResult replay(const RunConfig& config, const trace::Reader& trace, const Progress& progress,
                   Timeline* timeline) {
  return std::move(replay_together({&config, 1}, trace, progress, timeline).front());
}

}  // namespace kvr

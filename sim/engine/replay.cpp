#include "sim/engine/replay.hpp"

#include <algorithm>
#include <deque>
#include <iterator>
#include <tuple>

#include "sim/base/error.hpp"
#include "sim/engine/memory/access_record.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/point_replay.hpp"

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

std::int64_t tokens_of(const Timetable& timetable) {
  std::int64_t tokens = 0;
  for (const Turn& turn : timetable.turns) {
    tokens += turn.tokens;
  }
  return tokens;
}

/// Points of one batch, side by side; they stay where they are.
using Replays = std::deque<PointReplay>;

/// The parent's way again: policies that have only read in come to the same.
void fork_sequences(BatchWalk& walk, Replays& replays, const Turn& turn) {
  walk.enter_prompt(turn.sequences);
  std::ranges::for_each(replays, [&](PointReplay& replay) { replay.load_prompt(turn.sequences); });
  for (const std::int64_t tokens : turn.prefix) {
    for (std::int64_t token = 0; token < tokens; ++token) {
      walk.enter(turn.sequences);
      std::ranges::for_each(replays, &PointReplay::read_in);
    }
    std::ranges::for_each(replays, &PointReplay::end_prefill);
  }
}

/// Takes all points through the turns. `decode(replay, step)` takes one through a step.
template <class Decode>
void walk_through(BatchWalk& walk, Replays& replays, Decode decode, StepCounter& counter) {
  walk.enter_prompt(walk.timetable().begin);
  std::ranges::for_each(replays, [&](PointReplay& replay) { replay.begin_prompts(walk.timetable().begin); });
  std::int64_t step = 0;
  for (const Turn& turn : walk.timetable().turns) {
    std::ranges::for_each(replays, [&](PointReplay& replay) { replay.begin_turn(turn); });
    if (turn.act == TurnAct::fork) {
      fork_sequences(walk, replays, turn);
    }
    const bool decodes = turn.act == TurnAct::decode;
    for (std::int64_t token = 0; token < turn.tokens; ++token) {
      walk.enter(turn.sequences);
      for (PointReplay& replay : replays) {
        decodes ? decode(replay, step) : replay.read_in();
        counter.count();
      }
      step += decodes ? 1 : 0;
    }
    std::ranges::for_each(replays, [&](PointReplay& replay) { replay.end_turn(turn); });
  }
}

/// The accesses of a point to its caches, from a replay that judges nothing.
AccessRecord accesses_of(const RunConfig& config, BatchTraces traces, StepCounter& counter) {
  AccessRecord accesses;
  BatchWalk walk(config, traces);
  Replays replays;
  replays.emplace_back(config, walk, &accesses);
  walk_through(
      walk, replays, [](PointReplay& replay, std::int64_t step) { replay.step_policies(step); }, counter);
  accesses.set_complete();
  return accesses;
}

}  // namespace

bool same_walk(const RunConfig& a, const RunConfig& b) {
  const auto walk = [](const SequenceConfig& s) { return std::tie(s.trace_path, s.first_step); };
  return a.steps == b.steps && a.threads == b.threads && a.turns == b.turns &&
         std::ranges::equal(a.sequences, b.sequences, {}, walk, walk);
}

std::vector<PointResult> replay_together(std::span<const RunConfig> points, BatchTraces traces,
                                         const Progress& progress, Timeline* timeline) {
  const RunConfig& first = points.front();
  KVR_CHECK(std::ranges::all_of(points, [&](const RunConfig& p) { return same_walk(first, p); }),
            "points of different walks");
  BatchWalk walk(first, traces);
  const auto oracles = std::ranges::count_if(points, needs_future);
  StepCounter counter(progress, tokens_of(walk.timetable()) * (std::ssize(points) + oracles));
  std::vector<AccessRecord> accesses(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (needs_future(points[i])) {
      accesses[i] = accesses_of(points[i], traces, counter);
    }
  }
  Replays replays;
  for (std::size_t i = 0; i < points.size(); ++i) {
    replays.emplace_back(points[i], walk, needs_future(points[i]) ? &accesses[i] : nullptr);
  }
  std::ranges::for_each(replays, [&](PointReplay& replay) { replay.begin(timeline); });
  walk_through(
      walk, replays, [&](PointReplay& replay, std::int64_t step) { replay.step(step, timeline); }, counter);
  std::vector<PointResult> results;
  std::ranges::transform(replays, std::back_inserter(results), &PointReplay::finish);
  return results;
}

PointResult replay(const RunConfig& config, BatchTraces traces, const Progress& progress,
                   Timeline* timeline) {
  return std::move(replay_together({&config, 1}, traces, progress, timeline).front());
}

PointResult replay(const RunConfig& config, const trace::Reader& trace, const Progress& progress,
                   Timeline* timeline) {
  const std::vector<const trace::Reader*> traces(config.sequences.size(), &trace);
  return replay(config, traces, progress, timeline);
}

}  // namespace kvr

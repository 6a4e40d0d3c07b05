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

/// Takes a batch through its turns. `enter_turn` is called for each, `take_token` for each token of each,
/// with the number of its step where it is decoded; `end_turn` follows.
template <class EnterTurn, class TakeToken, class EndTurn>
void walk_through(BatchWalk& walk, EnterTurn enter_turn, TakeToken take_token, EndTurn end_turn) {
  std::int64_t step = 0;
  for (const Turn& turn : walk.timetable().turns) {
    enter_turn(turn);
    for (std::int64_t token = 0; token < turn.tokens; ++token) {
      walk.enter(turn.sequences);
      take_token(turn, step);
      step += turn.act == TurnAct::decode ? 1 : 0;
    }
    end_turn(turn);
  }
}

/// The accesses of a point to its caches, from a replay that judges nothing.
AccessRecord accesses_of(const RunConfig& config, BatchTraces traces, StepCounter& counter) {
  AccessRecord accesses;
  BatchWalk walk(config, traces);
  PointReplay replay(config, walk, &accesses);
  walk.enter_prompt();
  replay.load_prompt();
  walk_through(
      walk, [&](const Turn& turn) { replay.begin_turn(turn); },
      [&](const Turn& turn, std::int64_t step) {
        if (turn.act == TurnAct::decode) {
          replay.step_policies(step);
        } else {
          replay.read_in();
        }
        counter.count();
      },
      [&](const Turn& turn) { replay.end_turn(turn); });
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
  std::deque<PointReplay> replays;  // which stay where they are
  for (std::size_t i = 0; i < points.size(); ++i) {
    replays.emplace_back(points[i], walk, needs_future(points[i]) ? &accesses[i] : nullptr);
  }
  walk.enter_prompt();
  for (PointReplay& replay : replays) {
    replay.begin(timeline);
    replay.load_prompt();
  }
  walk_through(
      walk,
      [&](const Turn& turn) { std::ranges::for_each(replays, [&](auto& one) { one.begin_turn(turn); }); },
      [&](const Turn& turn, std::int64_t step) {
        for (PointReplay& replay : replays) {
          if (turn.act == TurnAct::decode) {
            replay.step(step, timeline);
          } else {
            replay.read_in();
          }
          counter.count();
        }
      },
      [&](const Turn& turn) { std::ranges::for_each(replays, [&](auto& one) { one.end_turn(turn); }); });
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

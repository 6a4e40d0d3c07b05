#include "sim/engine/walk/timetable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// One decode turn of all sequences, as long as the shortest trace or as `run.steps` says.
Timetable without_turns(const RunConfig& config, BatchTraces traces) {
  Timetable table;
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    try {
      table.ranges.push_back(step_range(config, config.sequences[i], traces[i]->header()));
    } catch (const InputError& error) {
      problems.insert(problems.end(), error.problems().begin(), error.problems().end());
    }
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
  table.steps = std::ranges::min_element(table.ranges, {}, &StepRange::count)->count;
  for (StepRange& range : table.ranges) {
    range.count = table.steps;
  }
  std::vector<std::int64_t> all(traces.size());
  std::iota(all.begin(), all.end(), std::int64_t{0});
  table.turns.push_back({TurnAct::decode, table.steps, std::move(all)});
  return table;
}

/// Lays the turns that a configuration gives, one after another.
class TurnPlan {
 public:
  TurnPlan(const RunConfig& config, BatchTraces traces)
      : config_(config), traces_(traces), dropped_by_(traces.size()) {
    for (std::size_t i = 0; i < traces.size(); ++i) {
      const trace::Header& header = traces[i]->header();
      table_.ranges.push_back({header.prefill_len + config.sequences[i].first_step, 0});
    }
  }

  Timetable lay() {
    for (const TurnConfig& turn : config_.turns) {
      add(turn);
    }
    check_lengths();
    if (config_.steps > 0) {
      problems_.push_back(fmt::format("{}: {} beside workload.turns, which say it; allowed: 0",
                                      config_.place("run.steps"), config_.steps));
    }
    if (table_.steps == 0) {
      problems_.push_back(fmt::format("{}: no turn decodes; allowed: at least one that does",
                                      config_.place("workload.turns")));
    }
    if (!problems_.empty()) {
      throw InputError(problems_);
    }
    return std::move(table_);
  }

 private:
  void add(const TurnConfig& config) {
    Turn turn{config.act, config.tokens, {}};
    for (std::size_t sequence = 0; sequence < traces_.size(); ++sequence) {
      if (!config.sequences.contains(static_cast<std::int64_t>(sequence))) {
        continue;
      }
      if (config.sequences.ranges.empty() && !dropped_by_[sequence].empty()) {
        continue;  // "all" are those that are left
      }
      if (!dropped_by_[sequence].empty()) {
        problems_.push_back(fmt::format("{}: sequence {} ended with {}; allowed: those that are left",
                                        config_.place(config.key), sequence, dropped_by_[sequence]));
      }
      turn.sequences.push_back(static_cast<std::int64_t>(sequence));
      table_.ranges[sequence].count += config.tokens;
      dropped_by_[sequence] = config.act == TurnAct::drop ? config.key : dropped_by_[sequence];
    }
    if (turn.sequences.empty()) {
      problems_.push_back(
          fmt::format("{}: none of these sequences is there; allowed: 0 to {}, less those that ended",
                      config_.place(config.key), traces_.size() - 1));
    }
    table_.steps += config.act == TurnAct::decode ? config.tokens : 0;
    table_.turns.push_back(std::move(turn));
  }

  void check_lengths() {
    for (std::size_t i = 0; i < traces_.size(); ++i) {
      const StepRange& range = table_.ranges[i];
      const std::int64_t left = traces_[i]->header().seq_len - range.first_position;
      if (range.count > left) {
        problems_.push_back(
            fmt::format("{}: sequence {} comes to {} tokens after its prompt of {}; {} has {} more",
                        config_.place("workload.turns"), i, range.count, range.first_position,
                        config_.sequences[i].trace_path.string(), std::max<std::int64_t>(0, left)));
      }
    }
  }

  const RunConfig& config_;
  BatchTraces traces_;
  Timetable table_;
  std::vector<std::string> dropped_by_;  ///< [sequences]: key of the turn; empty: it is there
  std::vector<std::string> problems_;
};

}  // namespace

Timetable timetable_of(const RunConfig& config, BatchTraces traces) {
  KVR_CHECK(traces.size() == config.sequences.size(), "{} traces of {} sequences", traces.size(),
            config.sequences.size());
  return config.turns.empty() ? without_turns(config, traces) : TurnPlan(config, traces).lay();
}

}  // namespace kvr

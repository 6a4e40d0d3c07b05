#include "sim/engine/walk/timetable.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

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
  table.begin = all;
  table.turns.push_back({TurnAct::decode, table.steps, std::move(all)});
  return table;
}

/// Lays the turns that a configuration gives, one after another.
class TurnPlan {
 public:
  TurnPlan(const RunConfig& config, BatchTraces traces)
      : config_(config), traces_(traces), states_(traces.size()) {
    for (const TurnConfig& turn : config.turns) {
      for (std::size_t i = 0; turn.act == TurnAct::fork && i < traces.size(); ++i) {
        states_[i].there &= !names(turn, i);
      }
    }
    for (std::size_t i = 0; i < traces.size(); ++i) {
      table_.ranges.push_back({traces[i]->header().prefill_len, 0});
      if (states_[i].there) {
        table_.begin.push_back(static_cast<std::int64_t>(i));
        table_.ranges[i].first_position += first_step_of(i);
      }
    }
  }

  Timetable lay() {
    for (const TurnConfig& turn : config_.turns) {
      add(turn);
    }
    check_lengths();
    if (config_.steps > 0) {
      problem("run.steps", "{} beside workload.turns, which say it; allowed: 0", config_.steps);
    }
    if (table_.steps == 0) {
      problem("workload.turns", "no turn decodes; allowed: at least one that does");
    }
    if (!problems_.empty()) {
      throw InputError(problems_);
    }
    return std::move(table_);
  }

 private:
  std::int64_t first_step_of(std::size_t sequence) {
    const trace::Header& header = traces_[sequence]->header();
    const SequenceConfig& config = config_.sequences[sequence];
    const std::int64_t available = header.seq_len - header.prefill_len;
    if (config.first_step < available) {
      return config.first_step;
    }
    problem(config.first_step_key, "{} is past the end; {} has {} decode steps, allowed is 0 to {}",
            config.first_step, config.trace_path.string(), available, available - 1);
    return 0;
  }

  struct State {
    bool there = true;
    std::string ended_by = {};                ///< key of the turn
    std::int64_t decoded = 0;                 ///< tokens
    std::vector<std::int64_t> prefills = {};  ///< tokens of each turn that was read in
  };

  template <class... Args>
  void problem(const std::string& key, fmt::format_string<Args...> what, Args&&... args) {
    problems_.push_back(
        fmt::format("{}: {}", config_.place(key), fmt::format(what, std::forward<Args>(args)...)));
  }

  /// In so many words; "all" names none.
  static bool names(const TurnConfig& turn, std::size_t sequence) {
    return !turn.sequences.ranges.empty() && turn.sequences.contains(static_cast<std::int64_t>(sequence));
  }

  void add(const TurnConfig& config) {
    Turn turn{config.act, config.tokens, {}};
    const bool all = config.sequences.ranges.empty();
    const bool forks = config.act == TurnAct::fork;
    for (std::size_t sequence = 0; sequence < traces_.size(); ++sequence) {
      if (all ? states_[sequence].there : names(config, sequence)) {
        check_state(config, sequence);
        turn.sequences.push_back(static_cast<std::int64_t>(sequence));
      }
    }
    if (turn.sequences.empty() || (forks && all)) {
      problem(config.key, "{}; allowed: {}",
              forks ? "names no sequence that begins" : "none of these sequences is there",
              forks ? "sequences that no turn before has" : "those that have begun and not ended");
      return;
    }
    if (forks) {
      begin_as_parent(config, turn);
    }
    for (const std::int64_t sequence : turn.sequences) {
      follow(config, static_cast<std::size_t>(sequence));
    }
    table_.steps += config.act == TurnAct::decode ? config.tokens : 0;
    table_.turns.push_back(std::move(turn));
  }

  void check_state(const TurnConfig& config, std::size_t sequence) {
    const State& state = states_[sequence];
    if (!state.ended_by.empty()) {
      problem(config.key, "sequence {} ended with {}; allowed: those that are left", sequence,
              state.ended_by);
    } else if (config.act == TurnAct::fork ? state.there : !state.there) {
      problem(config.key, "sequence {} {}; allowed: {}", sequence,
              state.there ? "is there already" : "begins with a later turn",
              state.there ? "sequences that no turn before has" : "those that have begun");
    }
  }

  /// What a sequence decodes depends on the memory, which does not fork.
  void begin_as_parent(const TurnConfig& config, Turn& turn) {
    const auto from = static_cast<std::size_t>(config.from);
    if (from >= traces_.size() || !states_[from].there) {
      problem(config.key + ".fork", "sequence {} is not there; allowed: one that has begun and not ended",
              config.from);
      return;
    }
    if (states_[from].decoded > 0) {
      problem(config.key + ".fork",
              "sequence {} has decoded {} tokens; allowed: one that has decoded nothing so far", config.from,
              states_[from].decoded);
    }
    turn.from = config.from;
    turn.prefix = states_[from].prefills;
    for (const std::int64_t sequence : turn.sequences) {
      const auto s = static_cast<std::size_t>(sequence);
      states_[s] = states_[from];
      table_.ranges[s] = {table_.ranges[from].first_position,
                          std::accumulate(turn.prefix.begin(), turn.prefix.end(), std::int64_t{0})};
      check_queries(config, s);
    }
  }

  /// From the parent's prompt on every token asks.
  void check_queries(const TurnConfig& config, std::size_t sequence) {
    const std::vector<std::int64_t>& positions = traces_[sequence]->query_positions();
    const std::int64_t first = table_.ranges[sequence].first_position;
    const auto from = std::ranges::lower_bound(positions, first);
    if (from == positions.end() || *from != first || positions.back() - first != positions.end() - from - 1) {
      problem(config.key,
              "{} has not the queries of all entries from {} on, where the prompt of sequence {} ends",
              config_.sequences[sequence].trace_path.string(), first, config.from);
    }
  }

  void follow(const TurnConfig& config, std::size_t sequence) {
    State& state = states_[sequence];
    table_.ranges[sequence].count += config.tokens;
    if (config.act == TurnAct::decode) {
      state.decoded += config.tokens;
    } else if (config.act == TurnAct::prefill) {
      state.prefills.push_back(config.tokens);
    } else if (config.act == TurnAct::drop) {
      state.there = false;
      state.ended_by = config.key;
    }
  }

  void check_lengths() {
    for (std::size_t i = 0; i < traces_.size(); ++i) {
      const StepRange& range = table_.ranges[i];
      const std::int64_t left = traces_[i]->header().seq_len - range.first_position;
      if (range.count > left) {
        problem("workload.turns", "sequence {} comes to {} tokens after its prompt of {}; {} has {} more", i,
                range.count, range.first_position, config_.sequences[i].trace_path.string(),
                std::max<std::int64_t>(0, left));
      }
    }
  }

  const RunConfig& config_;
  BatchTraces traces_;
  Timetable table_;
  std::vector<State> states_;  ///< [sequences]
  std::vector<std::string> problems_;
};

}  // namespace

Timetable timetable_of(const RunConfig& config, BatchTraces traces) {
  KVR_CHECK(traces.size() == config.sequences.size(), "{} traces of {} sequences", traces.size(),
            config.sequences.size());
  return config.turns.empty() ? without_turns(config, traces) : TurnPlan(config, traces).lay();
}

}  // namespace kvr

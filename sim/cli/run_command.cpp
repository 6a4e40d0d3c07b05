#include "sim/cli/run_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <ranges>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/sha256.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/progress.hpp"
#include "sim/cli/signals.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/engine/walk/batch_walk.hpp"
#include "sim/results/writer.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

/// Four points share most of what can be shared: beyond, a sweep gains little and a killed one loses more.
constexpr std::int64_t kTogether = 4;

struct Options {
  std::string config;
  std::vector<std::string> sets;
  std::optional<std::string> out;
  std::optional<std::string> timeline;
  std::optional<std::string> timeline_steps;
  std::int64_t together = 0;
};

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay run", "CONFIG.yaml [options]", {{"config", "configuration"}});
  syntax.options.add_options()("set", po::value<std::vector<std::string>>()->composing(),
                               "key=value, laid over the configuration; may be repeated")(
      "out,o", po::value<std::string>(), "write the results to this HDF5 file")(
      "timeline", po::value<std::string>(), "write a Chrome trace of some steps to this JSON file")(
      "timeline-steps", po::value<std::string>(),
      "which of the replayed steps the timeline shows, FIRST-LAST; without it the first four, or all where "
      "there are fewer")(
      "together", po::value<std::int64_t>()->default_value(kTogether),
      "how many points that follow one another are replayed step by step side by side, where they take the "
      "same steps of one trace; shared work is done once, results are the same, and a killed run loses the "
      "points it was at");
  return syntax;
}

std::int64_t whole_number(std::string_view text, const std::string& option) {
  constexpr auto kMostSteps = static_cast<std::int64_t>(bounds::kEntries);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > kMostSteps) {
    throw InputError(fmt::format("--timeline-steps: '{}' is not FIRST-LAST, e.g. 0-3", option));
  }
  return value;
}

TimelineSteps timeline_steps_of(const Options& options) {
  constexpr TimelineSteps kDefault{0, 4};
  if (!options.timeline_steps) {
    return kDefault;
  }
  if (!options.timeline) {
    throw InputError("--timeline-steps: there is no timeline; --timeline FILE asks for one");
  }
  const std::string& text = *options.timeline_steps;
  const std::size_t dash = text.find('-');
  const std::int64_t first = whole_number(std::string_view(text).substr(0, dash), text);
  const std::int64_t last =
      dash == std::string::npos ? first : whole_number(std::string_view(text).substr(dash + 1), text);
  if (last < first) {
    throw InputError(fmt::format("--timeline-steps: '{}' ends before it begins", text));
  }
  return {first, last - first + 1};
}

void add_new(std::vector<std::string>& problems, const std::vector<std::string>& found) {
  std::ranges::copy_if(found, std::back_inserter(problems), [&](const std::string& problem) {
    return std::ranges::find(problems, problem) == problems.end();
  });
}

/// Points usually share a trace; each file is validated, opened and hashed once.
class Traces {
 public:
  struct Trace {
    /// What `kvreplay trace validate` says of the file.
    std::vector<std::string> problems;
    /// Null where the file cannot even be opened.
    std::unique_ptr<trace::Reader> reader;
    std::string hash;
  };

  const Trace& at(const std::filesystem::path& path) {
    const auto known = traces_.find(path);
    return known != traces_.end() ? known->second : traces_.emplace(path, open(path)).first->second;
  }

  /// Of each sequence of a point; null where one cannot be opened.
  std::vector<const trace::Reader*> of(const RunConfig& point) {
    std::vector<const trace::Reader*> readers;
    for (const SequenceConfig& sequence : point.sequences) {
      readers.push_back(at(sequence.trace_path).reader.get());
    }
    return readers;
  }

  void describe(Provenance& provenance) const {
    std::vector<std::string> names;
    std::vector<std::string> hashes;
    for (const auto& [path, trace] : traces_) {
      names.push_back(path.string());
      hashes.push_back(trace.hash);
    }
    provenance.add("trace_path", fmt::format("{}", fmt::join(names, "\n")));
    provenance.add("trace_sha256", fmt::format("{}", fmt::join(hashes, "\n")));
  }

 private:
  static Trace open(const std::filesystem::path& path) {
    trace::Validation found = trace::examine(path);
    Trace trace{std::move(found.problems), nullptr, ""};
    if (found.opens) {
      trace.reader = std::make_unique<trace::Reader>(path);
      trace.hash = sha256_of_file(path);
    }
    return trace;
  }

  std::map<std::filesystem::path, Trace> traces_;
};

/// Of the files that components read beside traces, where there are any.
void describe_data(std::span<const RunConfig> points, Provenance& provenance) {
  std::map<std::string, std::string> hashes;
  for (const RunConfig& point : points) {
    for (const fs::path& file : point.data) {
      if (!hashes.contains(file.string())) {
        hashes.emplace(file.string(), sha256_of_file(file));
      }
    }
  }
  if (!hashes.empty()) {
    provenance.add("data_path", fmt::format("{}", fmt::join(hashes | std::views::keys, "\n")));
    provenance.add("data_sha256", fmt::format("{}", fmt::join(hashes | std::views::values, "\n")));
  }
}

/// Each note once, with the variants it is about unless that is all points.
void print_notes(std::span<const PointResult> results) {
  std::map<std::string, std::vector<std::string>> points_of;
  std::map<std::string, std::vector<std::string>> variants_of;
  for (const PointResult& result : results) {
    for (const std::string& note : result.notes) {
      points_of[note].push_back(result.data.name());
      add_new(variants_of[note], {result.variant});
    }
  }
  if (!points_of.empty()) {
    fmt::print("\nnotes\n");
  }
  for (const auto& [note, points] : points_of) {
    const bool all = points.size() == results.size();
    fmt::print("- {}{}\n", all ? "" : fmt::format("{}: ", fmt::join(variants_of[note], "; ")), note);
  }
}

/// Throws InputError unless the point has every step that the timeline is to show.
void check_shown(const TimelineSteps& shown, const RunConfig& point, BatchTraces traces) {
  const std::int64_t steps = timetable_of(point, traces).steps;
  const std::int64_t last = shown.first + shown.count - 1;
  if (last >= steps) {
    throw InputError(
        fmt::format("--timeline-steps: {}-{} goes past the end; {} steps are replayed, allowed is 0 to {}",
                    shown.first, last, steps, steps - 1));
  }
}

/// What is wrong with a point beside its traces.
std::vector<std::string> problems_of(const RunConfig& point, BatchTraces traces, const TimelineSteps* shown) {
  std::vector<std::string> problems;
  const auto collect = [&problems](const auto& step) {
    try {
      step();
    } catch (const InputError& error) {
      add_new(problems, error.problems());
    }
  };
  collect([&] { check_point(point, traces); });
  if (shown != nullptr) {
    collect([&] { check_shown(*shown, point, traces); });
  }
  return problems;
}

/// What is wrong with a trace, with where the configuration names it.
std::vector<std::string> problems_of(const Traces::Trace& trace, const std::string& place) {
  std::vector<std::string> problems;
  std::ranges::transform(trace.problems, std::back_inserter(problems), [&place](const std::string& problem) {
    return fmt::format("{}: {}", place, problem);
  });
  return problems;
}

/// Everything that is wrong with any point and any value of its trace, before hours go into the first, each
/// once; up to a trace that may not be read. `shown`: the steps that a timeline was asked for, null if none.
void check_points(const PartlyReadConfig& config, Traces& traces, const TimelineSteps* shown,
                  ProblemList& problems) {
  std::vector<std::string> found;
  problems.collect([&] {
    for (const auto& [place, path] : config.other_traces) {
      add_new(found, problems_of(traces.at(path), place));
    }
    for (const RunConfig& point : config.points) {
      for (const SequenceConfig& sequence : point.sequences) {
        add_new(found, problems_of(traces.at(sequence.trace_path), point.place(sequence.trace_key)));
      }
      const std::vector<const trace::Reader*> readers = traces.of(point);
      if (std::ranges::find(readers, nullptr) == readers.end()) {
        add_new(found, problems_of(point, readers, shown));
      }
    }
  });
  std::ranges::for_each(found, [&](const std::string& problem) { problems.add(problem); });
}

/// The next points to be replayed together, `most` of them at most.
std::span<const RunConfig> next_group(std::span<const RunConfig> left, std::int64_t most) {
  const auto other =
      std::ranges::find_if(left, [&](const RunConfig& point) { return !same_walk(left.front(), point); });
  return left.first(std::min(static_cast<std::size_t>(other - left.begin()), static_cast<std::size_t>(most)));
}

std::string label_of(std::span<const RunConfig> group) {
  return group.size() == 1 ? group.front().point
                           : fmt::format("{} and {} more", group.front().point, group.size() - 1);
}

/// Empty when only help was asked for.
std::optional<Options> parse(std::span<const std::string> args) {
  const auto given = cli::parse(syntax(), args, stdout);
  if (!given) {
    return std::nullopt;
  }
  return Options{.config = cli::text_of(*given, "config"),
                 .sets = cli::texts_of(*given, "set"),
                 .out = cli::given_value<std::string>(*given, "out"),
                 .timeline = cli::given_value<std::string>(*given, "timeline"),
                 .timeline_steps = cli::given_value<std::string>(*given, "timeline-steps"),
                 .together = (*given)["together"].as<std::int64_t>()};
}

cli::Outputs outputs_of(const Options& options) {
  cli::Outputs outputs;
  if (options.out) {
    outputs.write("--out", *options.out);
  }
  if (options.timeline) {
    outputs.write("--timeline", *options.timeline);
  }
  return outputs;
}

/// The file or block device that a point measures itself on; empty: it simulates.
fs::path device_path_of(const RunConfig& point) {
  const auto path = point.device.values.find("path");
  return path == point.device.values.end() ? fs::path() : fs::path(std::get<std::string>(path->second));
}

/// What a run does, checked.
struct Order {
  std::vector<RunConfig> points;
  std::optional<Timeline> timeline;
};

/// What is read, and the devices that points measure themselves on, which they may share, in turn.
void tell_files(const PartlyReadConfig& config, cli::Outputs& outputs) {
  std::ranges::for_each(config.files, [&](const fs::path& file) { outputs.read(file); });
  for (const auto& [place, path] : config.other_traces) {
    outputs.read(path);
  }
  std::map<fs::path, std::string> devices;
  for (const RunConfig& point : config.points) {
    std::ranges::for_each(point.sequences,
                          [&](const SequenceConfig& sequence) { outputs.read(sequence.trace_path); });
    std::ranges::for_each(point.data, [&](const fs::path& file) { outputs.read(file); });
    if (const fs::path device = device_path_of(point); !device.empty()) {
      devices.emplace(device, point.place("device.path"));
    }
  }
  for (const auto& [path, place] : devices) {
    outputs.write_unchecked(place, path);
  }
}

/// Throws everything that is wrong before hours go into the first point.
Order read_order(const Options& options, Traces& traces) {
  ProblemList problems;
  ProblemList of_config;
  PartlyReadConfig config;
  of_config.collect([&] { config = read_config(options.config, options.sets); });
  cli::Outputs outputs = outputs_of(options);
  tell_files(config, outputs);
  problems.collect([&] { outputs.check(); });
  Order order;
  problems.collect([&] {
    const TimelineSteps steps = timeline_steps_of(options);
    if (options.timeline) {
      order.timeline.emplace(steps);
    }
  });
  if (options.together < 1) {
    problems.add(fmt::format("--together: {} is too few; allowed is 1 and more", options.together));
  }
  problems.collect([&] { of_config.throw_if_any(); });
  std::ranges::for_each(config.problems, [&](const std::string& problem) { problems.add(problem); });
  const TimelineSteps* shown = options.timeline_steps && order.timeline ? &order.timeline->steps() : nullptr;
  check_points(config, traces, shown, problems);
  problems.throw_if_any();
  order.points = std::move(config.points);
  return order;
}

/// The points of a run on their way into its results.
class Run {
 public:
  Run(const Options& options, bool quiet)
      : options_(options), quiet_(quiet), order_(read_order(options, traces_)) {
    provenance_.add("configuration", options.config);
  }

  void replay_all() {
    const cli::PatientWithSignals patient;
    while (results_.size() < order_.points.size()) {
      replay_group(next_group(std::span(order_.points).subspan(results_.size()), options_.together));
      write();  // after every group, so that a killed run keeps what was finished
    }
  }

  void write_timeline() {
    if (order_.timeline) {
      timeline_failure_ = cli::attempt_to_write([&] { order_.timeline->write(*options_.timeline); });
    }
  }

  void print() const {
    if (!results_.empty()) {
      fmt::print("{}", summary_text(results_));
      print_notes(results_);
    }
  }

  void tell_of_interruption() const {
    cli::say("interrupted: {} of {} points are finished\n", results_.size(), order_.points.size());
  }

  void throw_if_unwritten() const {
    for (const auto& failure : {results_failure_, timeline_failure_}) {
      if (failure) {
        throw SystemError(*failure);
      }
    }
  }

 private:
  void replay_group(std::span<const RunConfig> group) {
    ProgressBar bar(label_of(group), quiet_);
    try {
      std::vector<PointResult> finished = replay_together(
          group, traces_.of(group.front()),
          [&bar](std::int64_t done, std::int64_t total) {
            cli::throw_if_interrupted();
            bar.update(done, total);
          },
          order_.timeline ? &*order_.timeline : nullptr);
      std::ranges::move(finished, std::back_inserter(results_));
    } catch (const std::bad_alloc&) {
      throw SystemError(fmt::format("there is not enough memory to replay {}{}", label_of(group),
                                    group.size() > 1 ? "; --together 1 takes the least" : ""));
    }
  }

  /// A disk that is full may have room again after the next group, and the summary is worth having without
  /// it.
  void write() {
    if (!options_.out) {
      return;
    }
    Provenance so_far = provenance_;
    traces_.describe(so_far);
    describe_data(order_.points, so_far);
    results_failure_ = cli::attempt_to_write([&] { write_results(*options_.out, results_, so_far); });
    if (results_failure_ && results_.size() < order_.points.size()) {
      cli::say("{}; the run goes on\n", results_failure_->what());
    }
  }

  const Options& options_;
  bool quiet_;
  Traces traces_;
  Order order_;
  Provenance provenance_ = describe_build_and_host();
  std::vector<PointResult> results_;
  std::optional<SystemError> results_failure_;
  std::optional<SystemError> timeline_failure_;
};

}  // namespace

int run_run_command(std::span<const std::string> args, bool quiet) {
  const std::optional<Options> options = parse(args);
  if (!options) {
    return 0;
  }
  Run run(*options, quiet);
  try {
    run.replay_all();
  } catch (const cli::Interrupted&) {
    run.tell_of_interruption();
    run.print();
    std::fflush(stdout);
    throw;
  }
  run.write_timeline();
  run.print();
  run.throw_if_unwritten();
  return 0;
}

}  // namespace kvr

#include "sim/cli/run/order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>
#include <map>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/replay.hpp"
#include "sim/engine/walk/batch_walk.hpp"

namespace kvr::cli {
namespace {

namespace fs = std::filesystem;
using sweep::TraceFiles;

std::int64_t whole_number(std::string_view text, const std::string& option) {
  constexpr auto kMostSteps = static_cast<std::int64_t>(bounds::kEntries);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value > kMostSteps) {
    throw InputError(fmt::format("--timeline-steps: '{}' is not FIRST-LAST, e.g. 0-3", option));
  }
  return value;
}

TimelineSteps timeline_steps_of(const RunOptions& options) {
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
std::vector<std::string> problems_of(const TraceFiles::Trace& trace, const std::string& place) {
  std::vector<std::string> problems;
  std::ranges::transform(trace.problems, std::back_inserter(problems), [&place](const std::string& problem) {
    return fmt::format("{}: {}", place, problem);
  });
  return problems;
}

/// Everything that is wrong with any point and any value of its trace, before hours go into the first, each
/// once; up to a trace that may not be read. `shown`: the steps that a timeline was asked for, null if none.
void check_points(const PartlyReadConfig& config, TraceFiles& traces, const TimelineSteps* shown,
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

Outputs outputs_of(const RunOptions& options) {
  Outputs outputs;
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

void check_numbers(const RunOptions& options, ProblemList& problems) {
  constexpr std::int64_t kMostJobs = 1024;
  if (options.together < 1) {
    problems.add(fmt::format("--together: {} is too few; allowed is 1 and more", options.together));
  }
  if (options.jobs < 1 || options.jobs > kMostJobs) {
    problems.add(fmt::format("--jobs: {} is not allowed; allowed is 1 to {}", options.jobs, kMostJobs));
  }
  if (options.jobs > 1 && options.timeline) {
    problems.add("--timeline: is drawn by one process; allowed: --jobs 1");
  }
  if (options.store && options.out &&
      fs::weakly_canonical(*options.store) == fs::weakly_canonical(*options.out)) {
    problems.add("--store: is the file of --out; allowed: another folder");
  }
  if (options.force && (!options.out || options.store)) {
    problems.add("--force: there is no OUT.points; allowed: beside --out, without --store");
  }
}

/// What options and points ask for together.
void check_together(const RunOptions& options, const Order& order, ProblemList& problems) {
  const auto measures = std::ranges::find_if(
      order.points, [](const RunConfig& point) { return !device_path_of(point).empty(); });
  if (options.jobs > 1 && measures != order.points.end()) {
    problems.add(fmt::format("{}: is measured by one process at a time; allowed: --jobs 1",
                             measures->place("device.path")));
  }
  if (options.shard && order.shard.index >= std::ssize(order.points)) {
    problems.add(fmt::format("--shard: {} of {} points is none; allowed: up to {}/N", *options.shard,
                             order.points.size(), order.points.size()));
  }
}

/// What is read, and the devices that points measure themselves on, which they may share, in turn.
void tell_files(const PartlyReadConfig& config, Outputs& outputs) {
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

}  // namespace

Order read_order(const RunOptions& options, TraceFiles& traces) {
  ProblemList problems;
  ProblemList of_config;
  PartlyReadConfig config;
  of_config.collect([&] { config = read_config(options.config, options.sets); });
  Outputs outputs = outputs_of(options);
  tell_files(config, outputs);
  problems.collect([&] { outputs.check(); });
  Order order;
  problems.collect([&] {
    const TimelineSteps steps = timeline_steps_of(options);
    if (options.timeline) {
      order.timeline.emplace(steps);
    }
  });
  problems.collect([&] { order.shard = shard_of(options); });
  check_numbers(options, problems);
  problems.collect([&] { of_config.throw_if_any(); });
  std::ranges::for_each(config.problems, [&](const std::string& problem) { problems.add(problem); });
  const TimelineSteps* shown = options.timeline_steps && order.timeline ? &order.timeline->steps() : nullptr;
  check_points(config, traces, shown, problems);
  problems.throw_if_any();
  order.points = std::move(config.points);
  check_together(options, order, problems);
  problems.throw_if_any();
  return order;
}

}  // namespace kvr::cli

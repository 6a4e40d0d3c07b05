#include "sim/cli/run_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <vector>

#include "sim/cli/progress.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "sim/engine/timeline.hpp"
#include "sim/error.hpp"
#include "sim/results/writer.hpp"
#include "traces/reader.hpp"
#include "traces/sha256.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

/// Four points share most of what can be shared: beyond, a sweep gains little and a killed one loses more.
constexpr std::int64_t kTogether = 4;

struct Options {
  std::string config;
  std::vector<std::string> sets;
  std::string out;
  std::string timeline;
  std::string timeline_steps;
  std::int64_t together = 0;
};

po::options_description describe(Options& options) {
  po::options_description described("kvreplay run CONFIG.yaml [options]");
  described.add_options()("help,h", "this text")("config", po::value(&options.config), "the configuration")(
      "set", po::value(&options.sets)->composing(),
      "key=value, laid over the configuration; may be repeated")("out,o", po::value(&options.out),
                                                                 "write the results to this HDF5 file")(
      "timeline", po::value(&options.timeline), "write a Chrome trace of some steps to this JSON file")(
      "timeline-steps", po::value(&options.timeline_steps)->default_value("0-3"),
      "which of the replayed steps the timeline shows, FIRST-LAST")(
      "together", po::value(&options.together)->default_value(kTogether),
      "how many points that follow one another are replayed step by step side by side, where they take the "
      "same steps of one trace; shared work is done once, results are the same, and a killed run loses the "
      "points it was at");
  return described;
}

std::int64_t whole_number(std::string_view text, const std::string& option) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) {
    throw InputError(fmt::format("--timeline-steps: '{}' is not FIRST-LAST, e.g. 0-3", option));
  }
  return value;
}

TimelineSteps timeline_steps_of(const std::string& text) {
  const std::size_t dash = text.find('-');
  const std::int64_t first = whole_number(std::string_view(text).substr(0, dash), text);
  const std::int64_t last =
      dash == std::string::npos ? first : whole_number(std::string_view(text).substr(dash + 1), text);
  if (last < first) {
    throw InputError(fmt::format("--timeline-steps: '{}' ends before it begins", text));
  }
  return {first, last - first + 1};
}

/// Points usually share a trace; each file is opened and hashed once.
class Traces {
 public:
  const trace::Reader& open(const std::filesystem::path& path) {
    auto& reader = readers_[path];
    if (!reader) {
      reader = std::make_unique<trace::Reader>(path);
      hashes_[path] = sha256_of_file(path);
    }
    return *reader;
  }

  void describe(Provenance& provenance) const {
    std::vector<std::string> names;
    std::vector<std::string> hashes;
    for (const auto& [path, reader] : readers_) {
      names.push_back(path.string());
      hashes.push_back(hashes_.at(path));
    }
    provenance.add("trace_path", fmt::format("{}", fmt::join(names, "\n")));
    provenance.add("trace_sha256", fmt::format("{}", fmt::join(hashes, "\n")));
  }

 private:
  std::map<std::filesystem::path, std::unique_ptr<trace::Reader>> readers_;
  std::map<std::filesystem::path, std::string> hashes_;
};

/// Each note once, with the points it is about unless that is all of them.
void print_notes(std::span<const PointResult> results) {
  std::map<std::string, std::vector<std::string>> points_of;
  for (const PointResult& result : results) {
    for (const std::string& note : result.notes) {
      points_of[note].push_back(result.data.name());
    }
  }
  for (const auto& [note, points] : points_of) {
    const bool all = points.size() == results.size();
    fmt::print("\n{}{}\n", all ? "" : fmt::format("{}: ", fmt::join(points, "; ")), note);
  }
}

/// Everything that is wrong with any point, before hours go into the first.
void check_points(std::span<const RunConfig> points, Traces& traces) {
  std::vector<std::string> problems;
  for (const RunConfig& point : points) {
    try {
      check_point(point, traces.open(point.trace_path));
    } catch (const InputError& error) {
      for (const std::string& problem : error.problems()) {
        if (std::ranges::find(problems, problem) == problems.end()) {
          problems.push_back(problem);
        }
      }
    }
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
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

/// Hours of replay must not end in a folder that was never there.
void check_writable(const std::filesystem::path& file) {
  const std::filesystem::path folder = file.has_parent_path() ? file.parent_path() : ".";
  if (!std::filesystem::is_directory(folder)) {
    throw InputError(fmt::format("{}: the folder {} does not exist", file.string(), folder.string()));
  }
}

/// Empty when only help was asked for.
std::optional<Options> parse(std::span<const std::string> args) {
  Options options;
  const po::options_description described = describe(options);
  po::positional_options_description positional;
  positional.add("config", 1);
  po::variables_map given;
  try {
    po::store(po::command_line_parser(std::vector<std::string>(args.begin(), args.end()))
                  .options(described)
                  .positional(positional)
                  .run(),
              given);
    po::notify(given);
  } catch (const po::error& error) {
    throw InputError(fmt::format("run: {}; see kvreplay run --help", error.what()));
  }
  if (given.count("help") > 0) {
    std::ostringstream text;
    text << described;
    fmt::print("{}", text.str());
    return std::nullopt;
  }
  if (options.config.empty()) {
    throw InputError("run: no configuration is given; see kvreplay run --help");
  }
  if (options.together < 1) {
    throw InputError(fmt::format("--together: {} is too few; allowed is 1 and more", options.together));
  }
  return options;
}

}  // namespace

int run_run_command(std::span<const std::string> args, bool quiet) {
  const std::optional<Options> options = parse(args);
  if (!options) {
    return 0;
  }
  std::optional<Timeline> timeline;
  if (!options->timeline.empty()) {
    check_writable(options->timeline);
    timeline.emplace(timeline_steps_of(options->timeline_steps));
  }
  if (!options->out.empty()) {
    check_writable(options->out);
  }
  Provenance provenance = describe_build_and_host();
  provenance.add("configuration", options->config);
  Traces traces;
  std::vector<PointResult> results;
  const std::vector<RunConfig> points = load_config(options->config, options->sets);
  check_points(points, traces);
  while (results.size() < points.size()) {
    const auto group = next_group(std::span(points).subspan(results.size()), options->together);
    ProgressBar bar(label_of(group), quiet);
    std::vector<PointResult> finished = replay_together(
        group, traces.open(group.front().trace_path),
        [&bar](std::int64_t done, std::int64_t total) { bar.update(done, total); },
        timeline ? &*timeline : nullptr);
    std::ranges::move(finished, std::back_inserter(results));
    if (!options->out.empty()) {  // after every group, so that a killed run keeps what was finished
      Provenance so_far = provenance;
      traces.describe(so_far);
      write_results(options->out, results, so_far);
    }
  }
  if (timeline) {
    timeline->write(options->timeline);
  }
  fmt::print("{}", summary_text(results));
  print_notes(results);
  return 0;
}

}  // namespace kvr

#include "sim/cli/report/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/report/configuration_data.hpp"
#include "sim/cli/report/page.hpp"
#include "sim/cli/result/open_results.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/results/compare/directions.hpp"
#include "sim/results/report/page_data.hpp"
#include "sim/results/report/timeline_data.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

struct Options {
  std::string file;
  std::optional<std::string> out;
  std::optional<std::string> timeline;
  std::vector<std::string> points;
};

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay report", "RESULT.h5 -o OUT.html [options]", {{"file", "file of results"}});
  syntax.options.add_options()("out,o", po::value<std::string>(), "the page to write")(
      "timeline", po::value<std::string>(),
      "what 'kvreplay run --timeline' wrote beside the results: the page then draws those steps")(
      "steps-of", po::value<std::vector<std::string>>()->composing(),
      "a point, a variant or a pattern of points whose steps the page has, before others; may be repeated. "
      "Without it those of the first seed come first, as many as there is room for");
  return syntax;
}

std::optional<Options> parse(std::span<const std::string> args, std::FILE* out) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return std::nullopt;
  }
  return Options{.file = cli::text_of(*given, "file"),
                 .out = cli::given_value<std::string>(*given, "out"),
                 .timeline = cli::given_value<std::string>(*given, "timeline"),
                 .points = cli::texts_of(*given, "steps-of")};
}

/// The places of points: those that a pattern fits alone, where there are patterns. The first seed of each
/// variant comes before the others.
std::vector<std::size_t> points_with_steps(const ResultFile& file, const std::vector<std::string>& patterns,
                                           ProblemList& problems) {
  std::set<std::string_view> unused(patterns.begin(), patterns.end());
  std::vector<std::string_view> names;  // each once
  std::set<std::string_view> known;
  std::map<std::string_view, std::size_t> seeds_of;  // so far
  std::vector<std::pair<std::size_t, std::size_t>> ranked;
  for (std::size_t place = 0; place < file.points().size(); ++place) {
    const ResultPoint& point = file.points()[place];
    for (const std::string_view name : {std::string_view(point.name), std::string_view(point.variant)}) {
      if (known.insert(name).second) {
        names.push_back(name);
      }
    }
    const auto fits = [&](std::string_view pattern) {
      return compare::matches(pattern, point.name) || compare::matches(pattern, point.variant);
    };
    if (patterns.empty() || std::ranges::any_of(patterns, fits)) {
      ranked.emplace_back(seeds_of[point.variant]++, place);
    }
    std::erase_if(unused, fits);
  }
  for (const std::string_view pattern : unused) {
    problems.add(cli::printable(fmt::format("--steps-of: {} has no point '{}'; {}", file.path().string(),
                                            pattern, config::suggestion(pattern, names))));
  }
  std::ranges::sort(ranked);
  std::vector<std::size_t> places;
  std::ranges::transform(ranked, std::back_inserter(places), [](const auto& pair) { return pair.second; });
  return places;
}

void check_outputs(const Options& options, ProblemList& problems) {
  cli::Outputs outputs;
  outputs.read(options.file);
  if (options.timeline) {
    outputs.read(*options.timeline);
  }
  if (options.out) {
    outputs.write("--out", *options.out);
  } else {
    problems.add("--out: is not given; allowed: a new name or a regular file");
  }
  problems.collect([&] { outputs.check(); });
}

/// Throws everything that is wrong with options and files before anything is written.
report::PageData checked_data(const Options& options) {
  ProblemList problems;
  check_outputs(options, problems);
  std::vector<ResultFile> files;
  problems.collect([&] { files.push_back(cli::open_results(options.file)); });
  report::PageData data;
  if (!files.empty()) {
    const std::vector<std::size_t> with_steps = points_with_steps(files.front(), options.points, problems);
    Json timeline;
    Json configuration;
    problems.collect([&] {
      timeline = options.timeline ? report::timeline_data(*options.timeline, files.front()) : Json();
    });
    problems.collect([&] { configuration = cli::configuration_data(files.front()); });
    if (problems.empty()) {
      data = report::page_data(files.front(), with_steps);
      data.page["timeline"] = std::move(timeline);
      data.page["configuration"] = std::move(configuration);
      data.page["made_by"] = fmt::format("kvreplay {}", KVREPLAY_VERSION);
    }
  }
  problems.throw_if_any();
  return data;
}

}  // namespace

int run_report_command(std::span<const std::string> args, std::FILE* out, bool quiet) {
  const std::optional<Options> options = parse(args, out);
  if (!options) {
    return 0;
  }
  const report::PageData data = checked_data(*options);
  const std::string path = options->out.value_or("");  // which is given: all that is wrong was thrown
  write_new_file(path, cli::page_text(data));
  if (!quiet) {
    const auto points = data.page.at("points").size();
    cli::say("{}: {} point{}, steps of {}\n", path, points, points == 1 ? "" : "s", data.steps.size());
  }
  return 0;
}

}  // namespace kvr

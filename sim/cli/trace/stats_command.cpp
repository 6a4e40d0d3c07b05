#include "sim/cli/trace/stats_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>
#include <limits>
#include <optional>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/progress.hpp"
#include "sim/cli/trace/stats_report.hpp"
#include "sim/engine/statistics/trace_statistics.hpp"
#include "traces/checks/validate.hpp"
#include "traces/reader.hpp"

namespace kvr {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

constexpr std::int64_t kJudgedSteps = 64;
constexpr std::int64_t kMaxThreads = 256;

// What the systems under configs/systems have in common.
constexpr std::int64_t kSinks = 4;
constexpr std::int64_t kRecent = 32;
constexpr std::int64_t kEntriesPerUnit = 16;
constexpr double kBudgetShare = 0.1;

struct Options {
  fs::path file;
  std::optional<std::int64_t> steps;  ///< 0: all
  std::optional<std::int64_t> layer;  ///< of the model
  std::int64_t seed = 1;
  std::int64_t threads = 1;
  bool json = false;
};

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay trace stats", "FILE [options]", {{"file", "trace"}});
  syntax.options.add_options()(
      "steps", po::value<std::int64_t>(),
      "decode steps in which attention is looked at, evenly spread; 0: all (default: 64, or all where there "
      "are fewer)")("layer", po::value<std::int64_t>(), "model layer (default: all that were captured)")(
      "seed", po::value<std::int64_t>()->default_value(1), "root of every random stream, as run.seed")(
      "threads", po::value<std::int64_t>()->default_value(1),
      "worker threads, which share the heads of a layer; results do not depend on it")(
      "json", "print JSON instead of tables");
  return syntax;
}

/// Empty when only help was asked for.
std::optional<Options> parse(std::span<const std::string> args, std::FILE* out) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return std::nullopt;
  }
  return Options{.file = cli::text_of(*given, "file"),
                 .steps = cli::given_value<std::int64_t>(*given, "steps"),
                 .layer = cli::given_value<std::int64_t>(*given, "layer"),
                 .seed = (*given)["seed"].as<std::int64_t>(),
                 .threads = (*given)["threads"].as<std::int64_t>(),
                 .json = given->count("json") > 0};
}

void check_numbers(const Options& options, std::vector<std::string>& problems) {
  if (options.steps && *options.steps < 0) {
    problems.push_back(
        fmt::format("--steps: {} is too few; allowed is 1 and more, or 0 for all", *options.steps));
  }
  if (options.seed < 0) {
    problems.push_back(fmt::format("--seed: {} is out of range; allowed is 0 and more", options.seed));
  }
  if (options.threads < 1 || options.threads > kMaxThreads) {
    problems.push_back(
        fmt::format("--threads: {} is out of range; allowed is 1 to {}", options.threads, kMaxThreads));
  }
}

void check_against(const trace::Header& header, const Options& options, std::vector<std::string>& problems) {
  const std::int64_t steps = header.seq_len - header.prefill_len;
  if (steps == 0) {
    problems.push_back(
        fmt::format("{}: there are no decode steps; statistics need one", options.file.string()));
  } else if (options.steps && *options.steps > steps) {
    problems.push_back(fmt::format("--steps: {} is too many; {} has {}, 0 means all of them", *options.steps,
                                   options.file.string(), steps));
  }
  if (options.layer &&
      std::ranges::find(header.captured_layers, *options.layer) == header.captured_layers.end()) {
    problems.push_back(fmt::format("--layer: {} is not in {}; allowed is one of {}", *options.layer,
                                   options.file.string(), fmt::join(header.captured_layers, ", ")));
  }
}

/// Throws everything that is wrong with options and trace; of the trace every value was looked at.
trace::Reader open_checked(const Options& options) {
  std::vector<std::string> problems;
  check_numbers(options, problems);
  const std::vector<std::string> invalid = trace::validate(options.file);
  problems.insert(problems.end(), invalid.begin(), invalid.end());
  if (!invalid.empty()) {
    throw InputError(problems);
  }
  trace::Reader trace(options.file);
  check_against(trace.header(), options, problems);
  if (!problems.empty()) {
    throw InputError(problems);
  }
  return trace;
}

StatisticsPlan plan_for(const trace::Header& header, const Options& options) {
  const StepRange steps{header.prefill_len, header.seq_len - header.prefill_len};
  const std::int64_t judged = options.steps.value_or(std::min(kJudgedSteps, steps.count));
  const ComponentChoice centroid{"centroid", {}};
  const ComponentChoice kmeans{"kmeans", {{"entries_per_cluster", kEntriesPerUnit}}};
  return {.trace_path = options.file,
          .steps = steps,
          .judged = spread_positions(steps, judged == 0 ? steps.count : judged),
          .units = {{"entries", {"token", {}}, {"exact", {{"reduce", "max"}}}},
                    {"pages", {"page", {{"page_tokens", kEntriesPerUnit}}}, centroid},
                    {"clusters", kmeans, centroid, true},
                    {"static", kmeans, centroid}},
          .static_units = 3,
          .budget = {"fraction", {{"share", kBudgetShare}}},
          .codec = {"fp16", {}},
          .sinks = kSinks,
          .recent = kRecent,
          .seed = options.seed};
}

/// The captured layers that were asked for, as the reader counts them.
std::vector<std::int64_t> wanted_layers(const trace::Header& header, const Options& options) {
  std::vector<std::int64_t> wanted;
  for (std::int64_t layer = 0; layer < std::ssize(header.captured_layers); ++layer) {
    if (!options.layer || *options.layer == header.captured_layers[static_cast<std::size_t>(layer)]) {
      wanted.push_back(layer);
    }
  }
  return wanted;
}

cli::TraceStats find_statistics(const trace::Reader& trace, const Options& options, bool quiet) {
  const trace::Header& header = trace.header();
  cli::TraceStats stats{header, plan_for(header, options), {}};
  const std::vector<std::int64_t> layers = wanted_layers(header, options);
  const std::int64_t total = std::ssize(layers) * stats.plan.steps.count;
  Workers workers(options.threads, "--threads");
  ProgressBar bar("trace stats", quiet);
  std::int64_t done = 0;
  for (const std::int64_t layer : layers) {
    std::vector<HeadStatistics> heads =
        layer_statistics(trace, layer, stats.plan, workers, [&] { bar.update(++done, total); });
    for (std::size_t head = 0; head < heads.size(); ++head) {
      stats.heads.push_back({header.captured_layers[static_cast<std::size_t>(layer)],
                             header.captured_kv_heads[head], std::move(heads[head])});
    }
  }
  return stats;
}

}  // namespace

int run_trace_stats(std::span<const std::string> args, std::FILE* out, bool quiet) {
  const std::optional<Options> options = parse(args, out);
  if (!options) {
    return 0;
  }
  const cli::TraceStats stats = find_statistics(open_checked(*options), *options, quiet);
  fmt::print(out, "{}", options->json ? cli::stats_json(stats) : cli::stats_tables(stats));
  return 0;
}

}  // namespace kvr

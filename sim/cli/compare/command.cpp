#include "sim/cli/compare/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/base/files/new_file.hpp"
#include "sim/base/hdf5.hpp"
#include "sim/cli/compare/conditions.hpp"
#include "sim/cli/compare/report.hpp"
#include "sim/cli/compare/rules_file.hpp"
#include "sim/cli/compare/tolerances.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/result/open_results.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/config/problem_list.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;
using compare::Rule;

constexpr int kRegressionExit = 1;
constexpr std::string_view kStandardOutput = "-";

/// One of the forms in which the report can be had beside the text.
struct Form {
  const char* option;
  std::string (*text)(const cli::CompareReport&);
};
constexpr std::array kForms = {Form{"json", cli::compare_json}, Form{"junit", cli::compare_junit},
                               Form{"markdown", cli::compare_markdown}};

struct Options {
  std::string base;
  std::string now;
  std::string rules;
  std::vector<std::string> max_drop;
  std::vector<std::string> max_growth;
  bool exact;
  bool host;
  bool any_trace;
  bool any_configuration;
  bool partial;
  std::array<std::optional<std::string>, kForms.size()> outputs;
};

cli::Syntax syntax() {
  cli::Syntax syntax("kvreplay compare", "BASE.h5 NEW.h5 [options]",
                     {{"base", "file of results to compare with"}, {"new", "file of new results"}});
  syntax.options.add_options()("rules", po::value<std::string>(),
                               "what may move by how much, a YAML file (docs/compare.md)")(
      "max-drop", po::value<std::vector<std::string>>()->composing(),
      "NAME=TOLERANCE: by how much a summary, or a family of them, may drop: recall=0.005, hit_rate=2%; may "
      "be repeated, and comes after the rules")(
      "max-growth", po::value<std::vector<std::string>>()->composing(),
      "NAME=TOLERANCE: likewise by how much one may grow: latency=2%, dram_total_max=1MiB")(
      "exact", "any move beyond its tolerance is a regression, whichever way it goes")(
      "host", "compare what was measured on the hosts too")(
      "any-trace", "compare results of other traces or calibrations")(
      "any-configuration", "compare results of other configurations")(
      "partial", "compare results that lack points, as far as they go")(
      "json", po::value<std::string>(), "write everything as JSON; -: to standard output, instead of text")(
      "junit", po::value<std::string>(), "write JUnit XML for a CI server; -: likewise")(
      "markdown", po::value<std::string>(), "write a summary for a pull request; -: likewise");
  return syntax;
}

/// Empty when only help was asked for.
std::optional<Options> parse(std::span<const std::string> args, std::FILE* out) {
  const auto given = cli::parse(syntax(), args, out);
  if (!given) {
    return std::nullopt;
  }
  const auto has = [&](const char* name) { return given->count(name) > 0; };
  Options options{.base = cli::text_of(*given, "base"),
                  .now = cli::text_of(*given, "new"),
                  .rules = cli::text_of(*given, "rules"),
                  .max_drop = cli::texts_of(*given, "max-drop"),
                  .max_growth = cli::texts_of(*given, "max-growth"),
                  .exact = has("exact"),
                  .host = has("host"),
                  .any_trace = has("any-trace"),
                  .any_configuration = has("any-configuration"),
                  .partial = has("partial"),
                  .outputs = {}};
  for (std::size_t i = 0; i < kForms.size(); ++i) {
    options.outputs[i] = cli::given_value<std::string>(*given, kForms[i].option);
  }
  return options;
}

void check_outputs(const Options& options) {
  cli::Outputs outputs;
  outputs.read(options.base);
  outputs.read(options.now);
  outputs.read(options.rules);
  std::vector<std::string> to_standard_output;
  for (std::size_t i = 0; i < kForms.size(); ++i) {
    const std::string option = fmt::format("--{}", kForms[i].option);
    const std::optional<std::string>& output = options.outputs[i];
    if (output == kStandardOutput) {
      to_standard_output.push_back(option);
    } else if (output) {
      outputs.write(option, *output);
    }
  }
  ProblemList problems;
  if (to_standard_output.size() > 1) {
    problems.add(fmt::format("{}: standard output (-) is asked for more than once; allowed: one of them",
                             fmt::join(to_standard_output, ", ")));
  }
  problems.collect([&] { outputs.check(); });
  problems.throw_if_any();
}

/// The rule of NAME=TOLERANCE; none, and a problem, where that is wrong.
std::optional<Rule> rule_of(const std::string& text, const char* option,
                            std::optional<compare::Tolerance> Rule::*limit, const cli::Measures& measures,
                            ProblemList& problems) {
  const std::size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  if (equals == std::string::npos) {
    problems.add(fmt::format("--{}: '{}' is no NAME=TOLERANCE; allowed: e.g. recall=0.005", option, text));
    return std::nullopt;
  }
  if (measures.units(name).empty()) {
    problems.add(fmt::format("--{}: {}", option, cli::unknown_measure(name)));
    return std::nullopt;
  }
  const cli::ReadTolerance read = cli::read_tolerance(text.substr(equals + 1), name, measures);
  if (!read.tolerance) {
    problems.add(fmt::format("--{}: {}", option, read.problem));
    return std::nullopt;
  }
  Rule rule{.metric = name};
  rule.*limit = read.tolerance;
  return rule;
}

/// Those of the file, then those of the options.
std::vector<Rule> rules_of(const Options& options, const cli::Measures& measures, ProblemList& problems) {
  std::vector<Rule> rules;
  if (!options.rules.empty()) {
    problems.collect([&] {
      config::Problems of_file;
      rules = cli::read_rules(options.rules, measures, of_file);
      of_file.throw_if_any();
    });
  }
  const auto add = [&](const std::vector<std::string>& texts, const char* option, auto limit) {
    for (const std::string& text : texts) {
      if (auto rule = rule_of(text, option, limit, measures, problems)) {
        rules.push_back(std::move(*rule));
      }
    }
  };
  add(options.max_drop, "max-drop", &Rule::max_drop);
  add(options.max_growth, "max-growth", &Rule::max_growth);
  return rules;
}

cli::ComparedFile described(const ResultFile& file) {
  return {file.path().string(), file.provenance("commit"), file.points().size(), file.points_planned()};
}

void refuse_incomplete(const ResultFile& file, ProblemList& problems) {
  if (!file.complete()) {
    problems.add(fmt::format("{}: has {} of {} points; --partial compares those", file.path().string(),
                             file.points().size(), file.points_planned()));
  }
}

void refuse_without_common_points(const ResultFile& base, const ResultFile& now, ProblemList& problems) {
  const auto names = [](const ResultFile& file) {
    std::vector<std::string> variants;
    for (const ResultPoint& point : file.points()) {
      if (std::ranges::find(variants, point.variant) == variants.end()) {
        variants.push_back(point.variant);
      }
    }
    return variants;
  };
  const std::vector<std::string> of_base = names(base);
  const std::vector<std::string> of_now = names(now);
  if (std::ranges::find_first_of(of_base, of_now) == of_base.end()) {
    problems.add(fmt::format("{}: no point is called as one of {} ({}); its own are {}", now.path().string(),
                             base.path().string(), cli::printable(hdf5::list_text(of_base)),
                             cli::printable(hdf5::list_text(of_now))));
  }
}

/// Names both files, the points and the keys, and the option that passes over these.
void refuse_keys(const std::vector<cli::KeyDifference>& keys, const std::vector<std::string>& points,
                 const Options& options, std::string_view what, ProblemList& problems) {
  if (keys.empty()) {
    return;
  }
  std::vector<std::string> texts;
  std::ranges::transform(keys, std::back_inserter(texts), [](const cli::KeyDifference& key) {
    return fmt::format("{} {} -> {}", key.key, key.base, key.now);
  });
  problems.add(cli::printable(
      fmt::format("{}: {} of {} is not that of {}: {}; --any-{} compares all the same", options.now, what,
                  hdf5::list_text(points), options.base, hdf5::list_text(texts), what)));
}

void refuse_conditions(const std::vector<cli::ConditionDifference>& conditions, const Options& options,
                       ProblemList& problems) {
  for (const cli::ConditionDifference& difference : conditions) {
    if (!options.any_trace) {
      refuse_keys(difference.traces, difference.points, options, "trace", problems);
    }
    if (!options.any_configuration) {
      refuse_keys(difference.configuration, difference.points, options, "configuration", problems);
    }
  }
}

/// Throws everything that is wrong with options and files before anything is compared.
cli::CompareReport compared(const Options& options) {
  ProblemList problems;
  problems.collect([&] { check_outputs(options); });
  std::unique_ptr<ResultFile> base;
  std::unique_ptr<ResultFile> now;
  problems.collect([&] { base = std::make_unique<ResultFile>(cli::open_results(options.base)); });
  problems.collect([&] { now = std::make_unique<ResultFile>(cli::open_results(options.now)); });
  cli::Measures measures;
  for (const auto* file : {&base, &now}) {
    if (*file) {
      measures.add(**file);
      if (!options.partial) {
        refuse_incomplete(**file, problems);
      }
    }
  }
  const compare::Request request{rules_of(options, measures, problems), options.exact, options.host};
  std::vector<cli::ConditionDifference> conditions;
  if (base && now) {
    refuse_without_common_points(*base, *now, problems);
    problems.collect([&] { conditions = cli::condition_differences(*base, *now); });
    refuse_conditions(conditions, options, problems);
  }
  problems.throw_if_any();
  return {described(*base), described(*now), compare::compare_results(*base, *now, request),
          std::move(conditions), options.partial};
}

/// Files first, so that a report on standard output is told whatever the disk says.
std::optional<SystemError> write_files(const Options& options, const cli::CompareReport& report) {
  return cli::attempt_to_write([&] {
    for (std::size_t i = 0; i < kForms.size(); ++i) {
      if (options.outputs[i] && options.outputs[i] != kStandardOutput) {
        write_new_file(*options.outputs[i], kForms[i].text(report));
      }
    }
  });
}

/// The text, unless another form goes there.
std::string standard_output(const Options& options, const cli::CompareReport& report) {
  for (std::size_t i = 0; i < kForms.size(); ++i) {
    if (options.outputs[i] == kStandardOutput) {
      return kForms[i].text(report);
    }
  }
  return cli::compare_text(report);
}

}  // namespace

int run_compare_command(std::span<const std::string> args, std::FILE* out) {
  const std::optional<Options> options = parse(args, out);
  if (!options) {
    return 0;
  }
  const cli::CompareReport report = compared(*options);
  const auto failed = write_files(*options, report);
  fmt::print(out, "{}", standard_output(*options, report));
  if (failed) {
    throw *failed;
  }
  return report.regressions() > 0 ? kRegressionExit : 0;
}

}  // namespace kvr

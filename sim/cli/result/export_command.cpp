// A row per point: its names, what its configuration has that others have otherwise, its summaries.
// --per-step: a row per point and step, with the metrics that have one value in each.
// --per-step --metric: a row per value, with its place.
#include "sim/cli/result/export_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/program_options.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/outputs.hpp"
#include "sim/cli/result/flat_configuration.hpp"
#include "sim/cli/result/open_results.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/results/compare/directions.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

using cli::FlatConfiguration;
using Cells = std::vector<std::string>;
/// Takes the rows one after another, so that no table need be held.
using Sink = std::function<void(const Cells&)>;

struct Options {
  std::filesystem::path file;
  std::string csv;
  bool per_step;
  std::vector<std::string> metrics;
};

std::optional<Options> parse(std::span<const std::string> args, std::FILE* out) {
  cli::Syntax syntax("kvreplay result export", "FILE --csv OUT.csv [options]", {{"file", "file of results"}});
  syntax.options.add_options()("csv", po::value<std::string>(), "the table to write; -: to standard output")(
      "per-step", "a row per point and step instead of one per point")(
      "metric", po::value<std::vector<std::string>>()->composing(),
      "with --per-step: a row per value of this metric, or of those that this pattern fits, with its step, "
      "layer and so on; may be repeated");
  const auto given = cli::parse(syntax, args, out);
  if (!given) {
    return std::nullopt;
  }
  return Options{.file = cli::text_of(*given, "file"),
                 .csv = cli::text_of(*given, "csv"),
                 .per_step = given->count("per-step") > 0,
                 .metrics = cli::texts_of(*given, "metric")};
}

/// As RFC 4180 has it.
std::string cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string doubled;
  for (const char c : text) {
    doubled.append(c == '"' ? 2 : 1, c);
  }
  return fmt::format("\"{}\"", doubled);
}

std::string line_of(const Cells& cells) {
  Cells written;
  std::ranges::transform(cells, std::back_inserter(written), cell);
  return fmt::format("{}\n", fmt::join(written, ","));
}

/// Read back as the same number; empty: there is none.
std::string number_text(double value) {
  return std::isnan(value) ? "" : fmt::format("{}", value);
}

/// Measured ones under the name of their group.
std::string column_name(const ResultDataset& dataset) {
  return dataset.origin == Origin::host ? fmt::format("host/{}", dataset.name) : dataset.name;
}

Cells names_of(const ResultPoint& point) {
  return {point.name, point.variant, std::to_string(point.seed)};
}

/// What differs between points of a sweep.
struct SweptKeys {
  std::vector<std::string> keys;
  std::vector<FlatConfiguration> configurations;
};

SweptKeys swept_keys(const ResultFile& file) {
  SweptKeys swept;
  std::set<std::string> keys;
  for (const ResultPoint& point : file.points()) {
    for (const auto& [key, value] : swept.configurations.emplace_back(cli::flat_configuration(file, point))) {
      keys.insert(key);
    }
  }
  for (const std::string& key : keys) {
    const auto value = [&](const FlatConfiguration& flat) {
      const auto found = flat.find(key);
      return found == flat.end() ? std::string() : found->second;
    };
    const std::string first = value(swept.configurations.front());
    // Descriptions differ in every line and say nothing that the other keys do not.
    if (!compare::matches("system.about.*", key) && key != "run.seed" &&
        std::ranges::any_of(swept.configurations,
                            [&](const FlatConfiguration& flat) { return value(flat) != first; })) {
      swept.keys.push_back(key);
    }
  }
  return swept;
}

void export_points(const ResultFile& file, const Sink& sink) {
  const SweptKeys swept = swept_keys(file);
  Cells heading{"point", "variant", "seed"};
  heading.insert(heading.end(), swept.keys.begin(), swept.keys.end());
  std::vector<std::vector<double>> summaries;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.is_summary()) {
      heading.push_back(column_name(dataset));
      summaries.push_back(file.summary(dataset));
    }
  }
  sink(heading);
  for (std::size_t point = 0; point < file.points().size(); ++point) {
    Cells row = names_of(file.points()[point]);
    for (const std::string& key : swept.keys) {
      const auto found = swept.configurations[point].find(key);
      row.push_back(found == swept.configurations[point].end() ? "" : found->second);
    }
    for (const std::vector<double>& values : summaries) {
      row.push_back(number_text(values[point]));
    }
    sink(row);
  }
}

/// A step in which a point has no value at all is beyond its end.
void export_steps(const ResultFile& file, const Sink& sink) {
  Cells heading{"point", "variant", "seed", "step"};
  std::vector<const ResultDataset*> metrics;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.dims.size() == 2 && dataset.dims[1] == "step") {
      heading.push_back(column_name(dataset));
      metrics.push_back(&dataset);
    }
  }
  sink(heading);
  const ResultAxis& steps = file.axis("step");
  for (std::size_t point = 0; point < file.points().size(); ++point) {
    std::vector<std::vector<double>> values;
    for (const ResultDataset* metric : metrics) {
      values.push_back(file.block(*metric, point));
    }
    for (std::size_t step = 0; step < steps.size(); ++step) {
      Cells row = names_of(file.points()[point]);
      row.push_back(steps.label(step));
      bool has_values = false;
      for (const std::vector<double>& metric : values) {
        row.push_back(number_text(metric[step]));
        has_values = has_values || !row.back().empty();
      }
      if (has_values) {
        sink(row);
      }
    }
  }
}

/// The metrics that some of `patterns` fits. Throws InputError with the patterns that fit none.
std::vector<const ResultDataset*> chosen_metrics(const ResultFile& file,
                                                 const std::vector<std::string>& patterns) {
  std::vector<const ResultDataset*> metrics;
  std::set<std::string_view> unused(patterns.begin(), patterns.end());
  std::vector<std::string_view> names;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.is_summary()) {
      continue;
    }
    names.push_back(dataset.name);
    const auto fits = [&](const std::string& pattern) { return compare::matches(pattern, dataset.name); };
    if (std::ranges::any_of(patterns, fits)) {
      metrics.push_back(&dataset);
    }
    std::erase_if(unused, [&](std::string_view pattern) { return compare::matches(pattern, dataset.name); });
  }
  std::vector<std::string> problems;
  for (const std::string_view pattern : unused) {
    problems.push_back(
        cli::printable(fmt::format("--metric: {} keeps no steps of '{}'; {}", file.path().string(), pattern,
                                   config::suggestion(pattern, names))));
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
  return metrics;
}

/// One row per value of `metric` that `point` has; `dims`: the dimensions that have a column.
void export_block(const ResultFile& file, const ResultDataset& metric, std::size_t point,
                  const std::vector<std::string>& dims, const Sink& sink) {
  const std::vector<double> values = file.block(metric, point);
  std::vector<std::size_t> index(metric.dims.size(), 0);
  for (const double value : values) {
    if (!std::isnan(value)) {
      Cells row = names_of(file.points()[point]);
      row.push_back(column_name(metric));
      for (const std::string& dim : dims) {
        const auto axis = std::ranges::find(metric.dims, dim) - metric.dims.begin();
        const bool has = axis < std::ssize(metric.dims);
        row.push_back(has ? file.axis(dim).label(index[static_cast<std::size_t>(axis)]) : "");
      }
      row.push_back(number_text(value));
      sink(row);
    }
    for (std::size_t axis = index.size() - 1; axis > 0 && ++index[axis] == metric.shape[axis]; --axis) {
      index[axis] = 0;
    }
  }
}

void export_values(const ResultFile& file, const std::vector<std::string>& patterns, const Sink& sink) {
  const std::vector<const ResultDataset*> metrics = chosen_metrics(file, patterns);
  std::vector<std::string> dims;
  for (const char* dim : {"step", "prefill", "tier", "layer", "sequence", "kv_head", "window"}) {
    if (std::ranges::any_of(metrics, [&](const ResultDataset* metric) {
          return std::ranges::find(metric->dims, dim) != metric->dims.end();
        })) {
      dims.emplace_back(dim);
    }
  }
  Cells heading{"point", "variant", "seed", "metric"};
  heading.insert(heading.end(), dims.begin(), dims.end());
  heading.emplace_back("value");
  sink(heading);
  for (const ResultDataset* metric : metrics) {
    for (std::size_t point = 0; point < file.points().size(); ++point) {
      export_block(file, *metric, point, dims, sink);
    }
  }
}

void export_rows(const ResultFile& file, const Options& options, const Sink& sink) {
  if (!options.per_step) {
    export_points(file, sink);
  } else if (options.metrics.empty()) {
    export_steps(file, sink);
  } else {
    export_values(file, options.metrics, sink);
  }
}

void write_file(const ResultFile& file, const Options& options) {
  NewFile target(options.csv);
  std::ofstream stream(target.temporary(), std::ios::binary);
  export_rows(file, options, [&](const Cells& row) { stream << line_of(row); });
  stream.close();
  if (!stream) {
    throw SystemError(fmt::format("{}: cannot be written", options.csv));
  }
  target.commit();
}

ResultFile open_checked(const Options& options) {
  ProblemList problems;
  if (options.csv.empty()) {
    problems.add("--csv: is not given; allowed: a new name or a regular file, or - for standard output");
  }
  if (!options.metrics.empty() && !options.per_step) {
    problems.add("--metric: goes with --per-step alone");
  }
  cli::Outputs outputs;
  outputs.read(options.file);
  if (!options.csv.empty() && options.csv != "-") {
    outputs.write("--csv", options.csv);
  }
  problems.collect([&] { outputs.check(); });
  std::vector<ResultFile> files;
  problems.collect([&] { files.push_back(cli::open_results(options.file)); });
  problems.throw_if_any();
  return std::move(files.front());
}

}  // namespace

int run_result_export(std::span<const std::string> args, std::FILE* out, bool) {
  const std::optional<Options> options = parse(args, out);
  if (!options) {
    return 0;
  }
  const ResultFile file = open_checked(*options);
  if (options->csv == "-") {
    export_rows(file, *options, [&](const Cells& row) { fmt::print(out, "{}", line_of(row)); });
  } else {
    write_file(file, *options);
  }
  return 0;
}

}  // namespace kvr

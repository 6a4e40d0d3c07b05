#include "sim/cli/result/show_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/json.hpp"
#include "sim/cli/notes.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/result/open_results.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/cli/table.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/results/metrics.hpp"

namespace kvr {
namespace {

namespace po = boost::program_options;

/// With more points these are rows, and only the summaries of the overview columns.
constexpr std::size_t kMostColumns = 6;

/// The places of the points that are shown.
using Places = std::vector<std::size_t>;

/// A summary and its value of each point of the file.
struct Column {
  const ResultDataset* dataset;
  std::vector<double> values;
};

/// All points, or the one that is called `name`, or those of that variant.
Places chosen(const ResultFile& file, const std::string& name) {
  Places places;
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < file.points().size(); ++i) {
    const ResultPoint& point = file.points()[i];
    names.push_back(point.name);
    if (name.empty() || point.name == name || point.variant == name) {
      places.push_back(i);
    }
  }
  if (places.empty()) {
    throw InputError(
        cli::printable(fmt::format("--point: no point of {} is called '{}'; {}", file.path().string(), name,
                                   config::suggestion(name, names))));
  }
  return places;
}

/// In the order of the table of summaries, those of later versions behind.
std::vector<Column> summaries_of(const ResultFile& file) {
  const auto rank = [](const Column& column) {
    return std::ranges::find(summary_table(), column.dataset->name, &SummaryInfo::name) -
           summary_table().begin();
  };
  std::vector<Column> columns;
  for (const ResultDataset& dataset : file.datasets()) {
    if (dataset.is_summary()) {
      columns.push_back({&dataset, file.summary(dataset)});
    }
  }
  std::ranges::stable_sort(columns, {}, rank);
  return columns;
}

bool is_in_overview(const ResultDataset& dataset) {
  const auto info = std::ranges::find(summary_table(), dataset.name, &SummaryInfo::name);
  return info != summary_table().end() && info->overview;
}

cli::Table summary_rows(const ResultFile& file, const Places& places) {
  cli::Table table{{"summary"}, {}};
  for (const std::size_t place : places) {
    table.heading.push_back(cli::printable(file.points()[place].name));
  }
  for (const Column& column : summaries_of(file)) {
    std::vector<std::string> row{cli::printable(column.dataset->name)};
    for (const std::size_t place : places) {
      row.push_back(cli::value_text(column.values[place], column.dataset->unit));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

cli::Table point_rows(const ResultFile& file, const Places& places) {
  cli::Table table{{"point"}, {}};
  for (const std::size_t place : places) {
    table.rows.push_back({cli::printable(file.points()[place].name)});
  }
  for (const Column& column : summaries_of(file)) {
    if (is_in_overview(*column.dataset)) {
      table.heading.push_back(column.dataset->name);
      for (std::size_t i = 0; i < places.size(); ++i) {
        table.rows[i].push_back(cli::value_text(column.values[places[i]], column.dataset->unit));
      }
    }
  }
  return table;
}

std::string completeness(const ResultFile& file) {
  const std::size_t points = file.points().size();
  return file.complete() ? fmt::format("complete, {} point{}", points, points == 1 ? "" : "s")
                         : fmt::format("{} of {} points", points, file.points_planned());
}

/// Of a text of several lines the first few are shown.
std::string provenance_text(const ResultFile& file) {
  constexpr std::size_t kMostLines = 8;
  cli::Table table;
  for (const auto& [name, value] : file.provenance()) {
    std::istringstream in(value);
    std::size_t lines = 0;
    for (std::string line; std::getline(in, line); ++lines) {
      if (lines < kMostLines) {
        table.rows.push_back({lines == 0 ? cli::printable(name) : "", cli::printable(line)});
      }
    }
    if (lines > kMostLines) {
      table.rows.push_back({"", fmt::format("... ({} lines)", lines)});
    }
  }
  return cli::plain_table(table);
}

std::string notes_text(const ResultFile& file, const Places& places) {
  std::vector<cli::NotedPoint> points;
  for (const std::size_t place : places) {
    const ResultPoint& point = file.points()[place];
    points.push_back({point.name, point.variant, point.notes});
  }
  return cli::notes_text(points);
}

std::string show_text(const ResultFile& file, const Places& places) {
  const cli::Table table =
      places.size() <= kMostColumns ? summary_rows(file, places) : point_rows(file, places);
  return fmt::format("{}: {}\n\n{}{}\n{}", file.path().string(), completeness(file), cli::plain_table(table),
                     notes_text(file, places), provenance_text(file));
}

Json point_json(const ResultFile& file, const std::vector<Column>& columns, std::size_t place) {
  const ResultPoint& point = file.points()[place];
  Json simulated = Json::object();
  Json host = Json::object();
  for (const Column& column : columns) {
    (column.dataset->origin == Origin::host ? host : simulated)[column.dataset->name] = column.values[place];
  }
  return {{"name", point.name},
          {"variant", point.variant},
          {"seed", point.seed},
          {"summaries", std::move(simulated)},
          {"host_summaries", std::move(host)},
          {"notes", point.notes},
          {"resolved_config", point.resolved_config}};
}

Json dataset_json(const ResultDataset& dataset) {
  return {{"name", dataset.name},       {"measured", dataset.origin == Origin::host},
          {"unit", dataset.unit},       {"long_name", dataset.long_name},
          {"formula", dataset.formula}, {"dimensions", dataset.dims},
          {"shape", dataset.shape}};
}

std::string show_json(const ResultFile& file, const Places& places) {
  const std::vector<Column> columns = summaries_of(file);
  Json points = Json::array();
  for (const std::size_t place : places) {
    points.push_back(point_json(file, columns, place));
  }
  Json datasets = Json::array();
  for (const ResultDataset& dataset : file.datasets()) {
    datasets.push_back(dataset_json(dataset));
  }
  Json provenance = Json::object();
  for (const auto& [name, value] : file.provenance()) {
    provenance[name] = value;
  }
  return json_text({{"file", file.path().string()},
                    {"complete", file.complete()},
                    {"points_planned", file.points_planned()},
                    {"points", std::move(points)},
                    {"datasets", std::move(datasets)},
                    {"provenance", std::move(provenance)}});
}

}  // namespace

int run_result_show(std::span<const std::string> args, std::FILE* out, bool) {
  cli::Syntax syntax("kvreplay result show", "FILE [options]", {{"file", "file of results"}});
  syntax.options.add_options()("point", po::value<std::string>(),
                               "this point alone, or all seeds of this variant")(
      "json", "print JSON, with configurations and what every dataset is");
  const auto given = cli::parse(syntax, args, out);
  if (!given) {
    return 0;
  }
  const ResultFile file = cli::open_results(cli::text_of(*given, "file"));
  const Places places = chosen(file, cli::text_of(*given, "point"));
  fmt::print(out, "{}", given->count("json") > 0 ? show_json(file, places) : show_text(file, places));
  return 0;
}

}  // namespace kvr

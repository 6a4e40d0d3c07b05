// What moved, as tables for a terminal and for a comment on a pull request.
#include <fmt/format.h>

#include <algorithm>

#include "sim/base/hdf5.hpp"
#include "sim/cli/compare/report.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/cli/table.hpp"

namespace kvr::cli {
namespace {

using compare::Move;
using compare::StepMove;

/// Beyond this a comment is longer than sites take.
constexpr std::size_t kMostMarkdownRows = 100;

std::string file_text(const ComparedFile& file) {
  const std::string commit = printable(file.commit);
  return commit.empty() ? file.name : fmt::format("{} (commit {})", file.name, commit.substr(0, 12));
}

/// A place in a seed's steps, which are those of one point alone where it has several.
std::string first_text(const compare::Place& place, std::int64_t seed, bool several) {
  return several ? fmt::format("seed {}: {}", seed, place_text(place)) : place_text(place);
}

std::vector<std::string> row_of(const Move& move) {
  const std::string seeds = seeds_text(move.difference);
  return {std::string(verdict_name(move.verdict)),
          printable(move.point),
          printable(move.summary),
          value_text(move.difference.base, move.unit),
          value_text(move.difference.now, move.unit),
          seeds.empty() ? change_text(move) : fmt::format("{}, {}", change_text(move), seeds),
          relative_text(move),
          allowed_text(move),
          move.first ? first_text(*move.first, move.first_seed, !seeds.empty()) : "-"};
}

Table moves_table(const std::vector<const Move*>& moves) {
  Table table{{"verdict", "point", "summary", "base", "new", "change", "relative", "allowed", "first"}, {}};
  std::ranges::transform(moves, std::back_inserter(table.rows),
                         [](const Move* move) { return row_of(*move); });
  return table;
}

/// The metrics of one point that differ alike.
struct StepGroup {
  const StepMove* first;  ///< of the first of them
  std::vector<std::string> metrics;
};

std::vector<StepGroup> groups_of(const std::vector<StepMove>& moves) {
  std::vector<StepGroup> groups;
  for (const StepMove& move : moves) {
    auto group = std::ranges::find_if(groups, [&](const StepGroup& other) {
      return other.first->point == move.point && other.first->regression == move.regression;
    });
    if (group == groups.end()) {
      group = groups.insert(groups.end(), StepGroup{&move, {}});
    }
    group->metrics.push_back(move.first.dataset);
  }
  return groups;
}

Table steps_table(const std::vector<StepMove>& moves) {
  Table table{{"verdict", "point", "first", "metrics"}, {}};
  for (const StepGroup& group : groups_of(moves)) {
    table.rows.push_back({group.first->regression ? "regression" : "changed", printable(group.first->point),
                          fmt::format("seed {}: {}", group.first->seed, place_text(group.first->first)),
                          printable(hdf5::list_text(group.metrics))});
  }
  return table;
}

/// Text in which Markdown and HTML see nothing of their own.
std::string code(std::string text) {
  std::ranges::replace(text, '`', '\'');
  return fmt::format("`{}`", text);
}

Table as_code(Table table) {
  for (auto& row : table.rows) {
    for (std::size_t column = 1; column < row.size(); ++column) {
      row[column] = code(std::move(row[column]));
    }
  }
  return table;
}

std::string shortened_markdown(Table table) {
  const std::size_t rows = table.rows.size();
  table.rows.resize(std::min(rows, kMostMarkdownRows));
  const std::string more =
      rows > kMostMarkdownRows ? fmt::format("\nand {} more\n", rows - kMostMarkdownRows) : "";
  return markdown_table(as_code(std::move(table))) + more;
}

}  // namespace

std::string compare_text(const CompareReport& report) {
  std::string text = fmt::format("base {}\nnew  {}\n", file_text(report.base), file_text(report.now));
  for (const std::string& line : remarks(report)) {
    text += fmt::format("{}\n", line);
  }
  if (const auto moves = moved(report); !moves.empty()) {
    text += fmt::format("\n{}", plain_table(moves_table(moves)));
  }
  if (!report.comparison.step_moves.empty()) {
    text += fmt::format("\nmetrics that differ in steps and in no summary\n{}",
                        plain_table(steps_table(report.comparison.step_moves)));
  }
  return text + fmt::format("\n{}\n", counts_text(report));
}

std::string compare_markdown(const CompareReport& report) {
  std::string text = fmt::format("### kvreplay: {}\n\nbase {}, new {}\n", counts_text(report),
                                 code(file_text(report.base)), code(file_text(report.now)));
  for (const std::string& line : remarks(report)) {
    text += fmt::format("- {}\n", code(line));
  }
  if (const auto moves = moved(report); !moves.empty()) {
    text += fmt::format("\n{}", shortened_markdown(moves_table(moves)));
  }
  if (!report.comparison.step_moves.empty()) {
    text += fmt::format("\nMetrics that differ in steps and in no summary:\n\n{}",
                        shortened_markdown(steps_table(report.comparison.step_moves)));
  }
  return text;
}

}  // namespace kvr::cli

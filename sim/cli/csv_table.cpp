#include "sim/cli/csv_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "sim/base/error.hpp"
#include "sim/config/values.hpp"

namespace kvr::cli {
namespace {

/// The end of the cell that begins at `begin`: the place of its comma, or of the end of the line.
std::size_t end_of_cell(const std::string& line, std::size_t begin) {
  bool quoted = false;
  std::size_t at = begin;
  for (; at < line.size() && (quoted || line[at] != ','); ++at) {
    quoted = quoted != (line[at] == '"');
  }
  return at;
}

/// `cell` without its quotes; none where they are not one pair around it with doubled ones in it.
std::optional<std::string> unquoted(std::string_view cell) {
  if (!cell.starts_with('"')) {
    return cell.find('"') == std::string_view::npos ? std::optional<std::string>(cell) : std::nullopt;
  }
  if (cell.size() < 2 || !cell.ends_with('"')) {
    return std::nullopt;
  }
  std::string text;
  std::string_view rest = cell.substr(1, cell.size() - 2);
  while (!rest.empty()) {
    const std::size_t quotes = rest.starts_with("\"\"") ? 2 : 1;
    if (quotes == 1 && rest.front() == '"') {
      return std::nullopt;
    }
    text += rest.front();
    rest.remove_prefix(quotes);
  }
  return text;
}

/// The cells of `line`; none, and a problem, where the quotes are wrong.
std::vector<CsvRow::Cell> cells_of(const std::string& line, config::Mark mark, config::Problems& problems) {
  std::vector<CsvRow::Cell> cells;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = end_of_cell(line, begin);
    mark.column = static_cast<int>(begin) + 1;
    auto text = unquoted(std::string_view(line).substr(begin, end - begin));
    if (!text) {
      problems.add(mark, "", "quotes do not match; allowed: \"a cell\", with each quote in it doubled");
      return {};
    }
    cells.push_back({std::move(*text), mark.column});
    begin = end + 1;
  }
  return cells;
}

}  // namespace

const CsvRow::Cell& CsvRow::cell(std::string_view column) const {
  const auto found = std::ranges::find(heading_, column);
  KVR_CHECK(found != heading_.end(), "no column {}", column);
  return cells_[static_cast<std::size_t>(found - heading_.begin())];
}

Value CsvRow::read(std::string_view column, const ParamDoc& info, ValueType type, Value otherwise) const {
  const Cell& found = cell(column);
  const ParamSpec spec{std::string(column), type, std::move(otherwise), info};
  const config::Mark mark{line_.file, line_.line, found.column};
  return config::read_value(config::scalar_node(spec.name, found.text, mark), spec, column, problems_)
      .value_or(spec.default_value);
}

std::int64_t CsvRow::whole(std::string_view column, const ParamDoc& info) const {
  return std::get<std::int64_t>(read(column, info, ValueType::integer, std::int64_t{0}));
}

double CsvRow::real(std::string_view column, const ParamDoc& info) const {
  return std::get<double>(read(column, info, ValueType::real, 0.0));
}

std::string CsvRow::choice(std::string_view column, const ParamDoc& info) const {
  return std::get<std::string>(read(column, info, ValueType::text, std::string()));
}

void read_csv(const std::filesystem::path& file, std::span<const std::string_view> heading,
              config::Problems& problems, const std::function<void(const CsvRow&)>& take) {
  std::ifstream lines(file);
  if (!lines) {
    throw SystemError(fmt::format("{}: cannot be read", file.string()));
  }
  const std::string expected = fmt::format("{}", fmt::join(heading, ","));
  bool has_heading = false;
  std::string text;
  for (config::Mark mark{file.string(), 1, 1}; std::getline(lines, text); ++mark.line) {
    if (text.empty() || text.starts_with('#')) {
      continue;
    }
    if (!has_heading) {
      has_heading = true;
      if (text != expected) {
        problems.add(mark, "", fmt::format("is no heading; allowed: {}", expected));
        return;
      }
      continue;
    }
    std::vector<CsvRow::Cell> cells = cells_of(text, mark, problems);
    if (cells.size() == heading.size()) {
      take(CsvRow(heading, std::move(cells), mark, problems));
    } else if (!cells.empty()) {
      problems.add(mark, "",
                   fmt::format("has {} cells; allowed: {} ({})", cells.size(), heading.size(),
                               fmt::join(heading, ", ")));
    }
  }
}

}  // namespace kvr::cli

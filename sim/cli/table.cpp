#include "sim/cli/table.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kvr::cli {

namespace {

using Row = std::vector<std::string>;

std::vector<std::size_t> column_widths(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  return widths;
}

std::string padded(const Row& row, const std::vector<std::size_t>& widths) {
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    line += fmt::format("{:{}}  ", row[i], widths[i]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string markdown_row(const Row& row) {
  std::string line = "|";
  for (const std::string& cell : row) {
    std::string text = cell;
    for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) {
      text.insert(at, 1, '\\');
    }
    line += fmt::format(" {} |", text);
  }
  return line + "\n";
}

}  // namespace

std::string plain_table(const Table& table) {
  std::vector<Row> rows = table.rows;
  if (!table.heading.empty()) {
    rows.insert(rows.begin(), table.heading);
  }
  const std::vector<std::size_t> widths = column_widths(rows);
  std::string text;
  for (const Row& row : rows) {
    text += padded(row, widths);
  }
  return text;
}

std::string markdown_table(const Table& table) {
  std::string text = markdown_row(table.heading) + markdown_row(Row(table.heading.size(), "---"));
  for (const Row& row : table.rows) {
    text += markdown_row(row);
  }
  return text;
}

}  // namespace kvr::cli

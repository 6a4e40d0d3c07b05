#pragma once

#include <string>
#include <vector>

namespace kvr::cli {

/// Rows of texts under a heading.
struct Table {
  std::vector<std::string> heading;  ///< may be empty in plain tables
  std::vector<std::vector<std::string>> rows;
};

/// Columns two spaces apart; the last one is as long as its text.
std::string plain_table(const Table& table);
std::string markdown_table(const Table& table);

}  // namespace kvr::cli

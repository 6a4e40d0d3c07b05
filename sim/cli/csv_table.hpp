#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"
#include "sim/config/text/problems.hpp"

namespace kvr::cli {

/// One row of a CSV file, its cells read by the names of their columns. A cell that is not as `info` says is
/// a problem with its place, and read as zero or nothing.
class CsvRow {
 public:
  struct Cell {
    std::string text;
    int column = 1;  ///< where it begins in its line
  };

  CsvRow(std::span<const std::string_view> heading, std::vector<Cell> cells, config::Mark line,
         config::Problems& problems)
      : heading_(heading), cells_(std::move(cells)), line_(std::move(line)), problems_(problems) {}

  const std::string& text(std::string_view column) const { return cell(column).text; }
  std::int64_t whole(std::string_view column, const ParamDoc& info) const;
  double real(std::string_view column, const ParamDoc& info) const;
  /// Which of `info.choices` it is.
  std::string choice(std::string_view column, const ParamDoc& info) const;

 private:
  const Cell& cell(std::string_view column) const;
  Value read(std::string_view column, const ParamDoc& info, ValueType type, Value otherwise) const;

  std::span<const std::string_view> heading_;
  std::vector<Cell> cells_;
  config::Mark line_;
  config::Problems& problems_;
};

/// Calls `take` with every row of `file` that has a cell for each column of `heading`, in order; other rows
/// are problems, as is another heading. Lines that begin with # say where the rows come from. A cell with a
/// comma stands in quotes; a quote in it is doubled.
void read_csv(const std::filesystem::path& file, std::span<const std::string_view> heading,
              config::Problems& problems, const std::function<void(const CsvRow&)>& take);

}  // namespace kvr::cli

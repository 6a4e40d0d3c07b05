#include "sim/cli/measured_rows.hpp"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <optional>
#include <string_view>

#include "sim/config/values.hpp"
#include "sim/error.hpp"

namespace kvr::cli {
namespace {

constexpr std::array kHeading = {"device", "op",       "pattern", "size", "depth",    "threads",
                                 "range",  "MB_per_s", "p99_us",  "use",  "settings", "note"};
constexpr std::array kUses = {RowUse::fitted, RowUse::checked, RowUse::reported, RowUse::apart};
constexpr double kMega = 1e6;
constexpr double kMicro = 1e-6;
constexpr double kLargestBytes = 9e15;  // whole numbers that a double holds

std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells;
  std::size_t begin = 0;
  for (std::size_t comma = 0; comma != std::string::npos; begin = comma + 1) {
    comma = line.find(',', begin);
    cells.push_back(line.substr(begin, comma - begin));
  }
  return cells;
}

/// The cells of one line, read by the names of their columns.
class Line {
 public:
  Line(std::vector<std::string> cells, std::string file, int number, config::Problems& problems)
      : cells_(std::move(cells)), file_(std::move(file)), number_(number), problems_(problems) {}

  bool is_complete() {
    if (cells_.size() == kHeading.size()) {
      return true;
    }
    problems_.add({file_, number_, 1}, "",
                  fmt::format("has {} cells; allowed: {} ({})", cells_.size(), kHeading.size(),
                              fmt::join(kHeading, ", ")));
    return false;
  }

  const std::string& text(std::string_view column) const { return cells_[index(column)]; }

  std::int64_t whole(std::string_view column, const ParamDoc& info) {
    const auto value = read(column, {std::string(column), ValueType::integer, std::int64_t{0}, info});
    return value ? std::get<std::int64_t>(*value) : 0;
  }

  double real(std::string_view column, const ParamDoc& info) {
    const auto value = read(column, {std::string(column), ValueType::real, 0.0, info});
    return value ? std::get<double>(*value) : 0.0;
  }

  /// Which of `info.choices` it is; empty where it is none.
  std::string choice(std::string_view column, const ParamDoc& info) {
    const auto value = read(column, {std::string(column), ValueType::text, std::string(), info});
    return value ? std::get<std::string>(*value) : "";
  }

 private:
  static std::size_t index(std::string_view column) {
    std::size_t at = 0;
    while (column != kHeading[at]) {
      ++at;
    }
    return at;
  }

  config::Mark mark(std::size_t cell) const {
    std::size_t column = 1;
    for (std::size_t i = 0; i < cell; ++i) {
      column += cells_[i].size() + 1;
    }
    return {file_, number_, static_cast<int>(column)};
  }

  std::optional<Value> read(std::string_view column, const ParamSpec& spec) {
    const std::size_t cell = index(column);
    return config::read_value(config::scalar_node(spec.name, cells_[cell], mark(cell)), spec, column,
                              problems_);
  }

  std::vector<std::string> cells_;
  std::string file_;
  int number_;
  config::Problems& problems_;
};

RowUse use_of(std::string_view text) {
  for (const RowUse use : kUses) {
    if (text == text_of(use)) {
      return use;
    }
  }
  return RowUse::apart;
}

MeasuredRow row_of(Line& line) {
  const ParamDoc bytes{.doc = "", .quantity = Quantity::bytes, .min = 512, .max = kLargestBytes};
  const ParamDoc count{.doc = "", .min = 1, .max = 65536};
  MeasuredRow row;
  row.device = line.text("device");
  row.kind =
      line.choice("op", {.doc = "", .choices = "read|write"}) == "write" ? IoKind::write : IoKind::read;
  row.sequential = line.choice("pattern", {.doc = "", .choices = "random|sequential"}) == "sequential";
  row.bytes = line.whole("size", bytes);
  row.depth = line.whole("depth", count);
  row.threads = line.whole("threads", {.doc = "", .min = 1, .max = 1024});
  row.range_bytes = line.whole("range", bytes);
  row.bytes_per_s = kMega * line.real("MB_per_s", {.doc = "", .min = 0, .max = 1e6, .above_min = true});
  if (!line.text("p99_us").empty()) {
    row.p99_s = kMicro * line.real("p99_us", {.doc = "", .min = 0, .max = 1e12, .above_min = true});
  }
  row.use = use_of(line.choice("use", {.doc = "", .choices = "fitted|checked|reported|apart"}));
  row.setting = line.text("settings");
  row.note = line.text("note");
  return row;
}

void read_file(const std::filesystem::path& path, std::vector<MeasuredRow>& rows,
               config::Problems& problems) {
  std::ifstream file(path);
  if (!file) {
    throw SystemError(fmt::format("{}: cannot be read", path.string()));
  }
  const std::string heading = fmt::format("{}", fmt::join(kHeading, ","));
  bool has_heading = false;
  std::string text;
  for (int number = 1; std::getline(file, text); ++number) {
    if (text.empty() || text.starts_with('#')) {
      continue;
    }
    if (!has_heading) {
      has_heading = true;
      if (text != heading) {
        problems.add({path.string(), number, 1}, "", fmt::format("is no heading; allowed: {}", heading));
        return;
      }
      continue;
    }
    Line line(cells_of(text), path.string(), number, problems);
    if (line.is_complete()) {
      rows.push_back(row_of(line));
      rows.back().file = path.filename().string();
    }
  }
}

}  // namespace

const char* text_of(RowUse use) {
  switch (use) {
    case RowUse::fitted:
      return "fitted";
    case RowUse::checked:
      return "checked";
    case RowUse::reported:
      return "reported";
    case RowUse::apart:
      return "apart";
  }
  return "";
}

std::vector<MeasuredRow> read_measured_rows(const std::vector<std::filesystem::path>& files) {
  std::vector<MeasuredRow> rows;
  config::Problems problems;
  for (const std::filesystem::path& file : files) {
    read_file(file, rows, problems);
  }
  problems.throw_if_any();
  return rows;
}

}  // namespace kvr::cli

#include "sim/cli/device/measured_rows.hpp"

#include <array>
#include <string_view>

#include "sim/cli/csv_table.hpp"

namespace kvr::cli {
namespace {

constexpr std::array<std::string_view, 12> kHeading = {"device", "op",      "pattern",  "size",
                                                       "depth",  "threads", "range",    "MB_per_s",
                                                       "p99_us", "use",     "settings", "note"};
constexpr std::array kUses = {RowUse::fitted, RowUse::checked, RowUse::reported, RowUse::apart};
constexpr double kMega = 1e6;
constexpr double kMicro = 1e-6;
constexpr double kLargestBytes = 9e15;  // whole numbers that a double holds

RowUse use_of(std::string_view text) {
  for (const RowUse use : kUses) {
    if (text == text_of(use)) {
      return use;
    }
  }
  return RowUse::apart;
}

MeasuredRow row_of(const CsvRow& line) {
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
    read_csv(file, kHeading, problems, [&](const CsvRow& line) {
      rows.push_back(row_of(line));
      rows.back().file = file.filename().string();
    });
  }
  problems.throw_if_any();
  return rows;
}

}  // namespace kvr::cli

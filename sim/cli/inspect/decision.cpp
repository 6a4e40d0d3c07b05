#include "sim/cli/inspect/decision.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr::cli {
namespace {

/// Where the point stands in the file.
std::size_t find_point(const ResultFile& file, const std::string& name) {
  std::vector<std::string_view> names;
  std::ranges::transform(file.points(), std::back_inserter(names), &ResultPoint::name);
  if (name.empty() && names.size() == 1) {
    return 0;
  }
  const auto found = std::ranges::find(names, name);
  if (name.empty()) {
    throw InputError(printable(
        fmt::format("--point: is missing; {} has {}", file.path().string(), fmt::join(names, ", "))));
  }
  if (found == names.end()) {
    throw InputError(printable(fmt::format("--point: no point of {} is called '{}'; {}", file.path().string(),
                                           name, config::suggestion(name, names))));
  }
  return static_cast<std::size_t>(found - names.begin());
}

/// "0..3, 7"
std::string ranges_text(const std::set<std::int64_t>& numbers) {
  std::vector<std::string> ranges;
  for (auto first = numbers.begin(); first != numbers.end();) {
    auto last = first;
    auto next = std::next(first);
    while (next != numbers.end() && *next == *last + 1) {
      last = next++;
    }
    ranges.push_back(first == last ? std::to_string(*first) : fmt::format("{}..{}", *first, *last));
    first = next;
  }
  return fmt::format("{}", fmt::join(ranges, ", "));
}

/// Chooses among what is recorded, and collects what is wrong with that.
class Chooser {
 public:
  std::int64_t choose(const char* option, const std::optional<std::int64_t>& wanted,
                      const std::set<std::int64_t>& recorded) {
    if (!wanted && recorded.size() == 1) {
      return *recorded.begin();
    }
    if (!wanted) {
      problems_.push_back(fmt::format("--{}: is missing; recorded: {}", option, ranges_text(recorded)));
    } else if (!recorded.contains(*wanted)) {
      problems_.push_back(
          fmt::format("--{}: {} is not recorded; recorded: {}", option, *wanted, ranges_text(recorded)));
    }
    return wanted.value_or(0);
  }
  void throw_if_any() const {
    if (!problems_.empty()) {
      throw InputError(problems_);
    }
  }

 private:
  std::vector<std::string> problems_;
};

std::set<std::int64_t> values_of(const std::vector<UnitRow>& rows, std::int32_t UnitRow::*column) {
  std::set<std::int64_t> values;
  for (const UnitRow& row : rows) {
    values.insert(row.*column);
  }
  return values;
}

/// Where all heads of a layer decide as one, any head is recorded.
std::set<std::int64_t> heads_of(const ResultFile& file, const std::vector<UnitRow>& rows) {
  std::set<std::int64_t> heads = values_of(rows, &UnitRow::kv_head);
  if (heads.contains(-1)) {
    const std::vector<std::int64_t>& all = file.axis("kv_head").numbers;
    return {all.begin(), all.end()};
  }
  return heads;
}

/// The place of the stage; -1: all.
std::int32_t stage_of(const std::string& wanted, const std::vector<std::string>& stages) {
  if (wanted.empty()) {
    return -1;
  }
  const auto named = std::ranges::find(stages, wanted);
  auto place = static_cast<std::int64_t>(named - stages.begin());
  if (named == stages.end()) {
    const auto read = std::from_chars(wanted.data(), wanted.data() + wanted.size(), place);
    const bool is_place = read.ec == std::errc() && read.ptr == wanted.data() + wanted.size();
    if (!is_place || place < 0 || place >= std::ssize(stages)) {
      const std::vector<std::string_view> names(stages.begin(), stages.end());
      throw InputError(
          printable(fmt::format("--stage: no such stage ({}); {}", wanted,
                                stages.empty() ? "the system has none" : config::suggestion(wanted, names))));
    }
  }
  return static_cast<std::int32_t>(place);
}

void collect_units(Decision& decision, std::int32_t stage) {
  std::size_t entry = 0;
  std::size_t extent = 0;
  for (const UnitRow& row : decision.record.choices) {
    const auto entries = static_cast<std::size_t>(row.entry_count);
    const auto extents = static_cast<std::size_t>(row.extent_count);
    const bool here = row.step == decision.step && row.layer == decision.layer &&
                      row.sequence == decision.sequence && (row.kv_head < 0 || row.kv_head == decision.head);
    if (here && (stage < 0 || row.stage == stage)) {
      decision.units.push_back({row, std::span(decision.record.entries).subspan(entry, entries),
                                std::span(decision.record.extents).subspan(extent, extents)});
    }
    entry += entries;
    extent += extents;
  }
  std::ranges::copy_if(decision.record.requests, std::back_inserter(decision.requests),
                       [&](const ReadRequest& request) {
                         return request.step == decision.step && request.layer == decision.layer;
                       });
}

/// Of a metric by step (and layer (and head)), where the file has it and it has a value.
std::optional<double> metric_at(const ResultFile& file, std::string_view name, std::size_t point,
                                const Decision& at) {
  const ResultDataset* dataset = file.find(name, Origin::simulated);
  if (dataset == nullptr) {
    return std::nullopt;
  }
  std::size_t place = 0;
  for (std::size_t axis = 1; axis < dataset->dims.size(); ++axis) {
    const std::string& dim = dataset->dims[axis];
    const std::int64_t wanted = dim == "step"       ? at.step
                                : dim == "layer"    ? at.layer
                                : dim == "sequence" ? at.sequence
                                                    : at.head;
    const std::vector<std::int64_t>& numbers = file.axis(dim).numbers;
    const auto found = std::ranges::find(numbers, wanted);
    if (found == numbers.end()) {
      return std::nullopt;
    }
    place = place * numbers.size() + static_cast<std::size_t>(found - numbers.begin());
  }
  const double value = file.block(*dataset, point).at(place);
  return std::isnan(value) ? std::nullopt : std::optional(value);
}

}  // namespace

Decision find_decision(const ResultFile& file, const Wanted& wanted) {
  const std::size_t point = find_point(file, wanted.point);
  const std::string& name = file.points()[point].name;
  if (!file.units_outline(point)) {
    throw InputError(
        printable(fmt::format("{}: of the point '{}' no units are recorded; run it with record.units, as in "
                              "--set record.units=0..3",
                              file.path().string(), name)));
  }
  Decision decision{.file = file.path().string(), .point = name, .record = file.units(point)};
  const std::vector<UnitRow>& rows = decision.record.choices;
  if (rows.empty()) {
    throw InputError(printable(fmt::format(
        "{}: of the point '{}' the record is empty: no sequence of it decodes in the steps of record.units",
        file.path().string(), name)));
  }
  Chooser chooser;
  decision.step = chooser.choose("step", wanted.step, values_of(rows, &UnitRow::step));
  decision.layer = chooser.choose("layer", wanted.layer, values_of(rows, &UnitRow::layer));
  decision.head = chooser.choose("head", wanted.head, heads_of(file, rows));
  decision.sequence = chooser.choose("sequence", wanted.sequence, values_of(rows, &UnitRow::sequence));
  chooser.throw_if_any();
  decision.several_sequences = file.axis("sequence").size() > 0;
  collect_units(decision, stage_of(wanted.stage, decision.record.stages));
  decision.position = metric_at(file, "position", point, decision);
  decision.recall = metric_at(file, "recall", point, decision);
  decision.mass = metric_at(file, "mass", point, decision);
  decision.read_bytes = metric_at(file, "read_bytes", point, decision);
  return decision;
}

}  // namespace kvr::cli

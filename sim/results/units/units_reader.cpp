#include "sim/results/units/units_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>

#include "sim/base/error.hpp"
#include "sim/base/stored/stored_array.hpp"
#include "sim/results/lists.hpp"
#include "sim/results/units/units_check.hpp"

namespace kvr {
namespace {

using hdf5::StoredArray;

constexpr std::array<const char*, kUnitTables> kCounts = {
    "unit_record/choice_count", "unit_record/entry_count", "unit_record/extent_count",
    "unit_record/request_count"};

template <class Value>
hid_t expected_type() {
  if constexpr (std::is_same_v<Value, float>) {
    return H5T_IEEE_F32LE;
  } else {
    return sizeof(Value) == sizeof(std::int32_t) ? H5T_STD_I32LE : H5T_STD_I64LE;
  }
}

}  // namespace

UnitsReader::UnitsReader(hid_t file, std::size_t points) : file_(file), outlines_(points), first_(points) {
  if (hdf5::has_group(file, "unit_record")) {
    read_points(points);
  }
}

void UnitsReader::read_points(std::size_t points) {
  const std::vector<std::string> stages = read_texts(open_array(file_, "unit_record/stages"));
  const std::vector<std::string> tiers = read_texts(open_array(file_, "unit_record/tiers"));
  if (stages.size() != points || tiers.size() != points) {
    refuse(file_, "unit_record",
           fmt::format("{} stages and {} tiers of {} points", stages.size(), tiers.size(), points));
  }
  std::array<std::vector<std::int64_t>, kUnitTables> counts;
  for (std::size_t table = 0; table < kUnitTables; ++table) {
    counts.at(table) = read_numbers(open_array(file_, kCounts.at(table)));
    constexpr std::int64_t kMost = std::int64_t{1} << 40;
    const bool sound = std::ranges::all_of(counts.at(table),
                                           [](std::int64_t count) { return count >= 0 && count <= kMost; });
    if (counts.at(table).size() != points || !sound) {
      refuse(file_, kCounts.at(table), fmt::format("no list of {} counts", points));
    }
  }
  for (std::size_t point = 0; point < points; ++point) {
    first_[point] = rows_;
    UnitsOutline outline{lines_of(stages[point]), lines_of(tiers[point]), {}};
    for (std::size_t table = 0; table < kUnitTables; ++table) {
      outline.counts.at(table) = counts.at(table)[point];
      rows_.at(table) += counts.at(table)[point];
    }
    if (!outline.tiers.empty()) {
      outlines_[point] = std::move(outline);
    }
  }
}

std::optional<UnitsOutline> UnitsReader::outline(std::size_t point) const {
  return outlines_.at(point);
}

template <class Value, class Row>
void UnitsReader::read_column(const std::string& place, std::int64_t first, Value Row::*member,
                              std::vector<Row>& rows) const {
  const StoredArray array = open_array(file_, place);
  const auto end = static_cast<hsize_t>(first) + rows.size();
  if (!hdf5::has_type(array.dataset(), expected_type<Value>()) || array.shape().size() != 1 ||
      array.shape().front() < end) {
    refuse(file_, place, fmt::format("no list of {} values of {} bytes", end, sizeof(Value)));
  }
  std::vector<Value> values(rows.size());
  if (!rows.empty()) {
    array.read({static_cast<hsize_t>(first)}, {values.size()}, std::as_writable_bytes(std::span(values)));
  }
  for (std::size_t row = 0; row < rows.size(); ++row) {
    rows[row].*member = values[row];
  }
}

RecordedUnits UnitsReader::read(std::size_t point) const {
  const std::optional<UnitsOutline>& recorded = outlines_.at(point);
  if (!recorded) {
    throw InternalError(fmt::format("point {} has no units", point));
  }
  const UnitsOutline& outline = *recorded;
  RecordedUnits units{.stages = outline.stages, .tiers = outline.tiers};
  std::size_t table = 0;
  units.for_each_table([&](std::string_view name, auto& rows) {
    const auto count = static_cast<std::size_t>(outline.counts.at(table));
    const std::int64_t first = first_[point].at(table++);
    for (const auto& column : columns_of(rows)) {
      const std::string place = fmt::format("unit_record/{}/{}", name, column.name);
      const hdf5::Shape shape = open_array(file_, place).shape();  // no more than there is storage for
      if (shape.size() != 1 || shape.front() < static_cast<hsize_t>(first) + count) {
        refuse(file_, place, fmt::format("no list of {} values", static_cast<hsize_t>(first) + count));
      }
      rows.resize(count);
      std::visit([&](auto member) { read_column(place, first, member, rows); }, column.member);
    }
  });
  if (!are_sound(units)) {
    refuse(file_, "unit_record", fmt::format("the tables of point {} contradict one another", point));
  }
  return units;
}

void UnitsReader::check() const {
  for (std::size_t point = 0; point < outlines_.size(); ++point) {
    if (outlines_[point]) {
      read(point);
    }
  }
}

}  // namespace kvr

#include "sim/results/units/units_writer.hpp"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <numeric>
#include <type_traits>

#include "sim/base/error.hpp"
#include "sim/results/lists.hpp"
#include "sim/results/units/read_uses.hpp"

namespace kvr {
namespace {

using hdf5::Handle;

/// A table and the names of its dimension and of the sizes along `point`.
struct TableNames {
  std::string_view table;
  const char* dimension;
  std::string_view counts;
};
constexpr std::array<TableNames, kUnitTables> kTables = {{{"choices", "choice", "choice_count"},
                                                          {"entries", "entry", "entry_count"},
                                                          {"extents", "extent", "extent_count"},
                                                          {"requests", "request", "request_count"}}};

template <class Value>
hid_t stored_type() {
  if constexpr (std::is_same_v<Value, float>) {
    return H5T_IEEE_F32LE;
  } else {
    return sizeof(Value) == sizeof(std::int32_t) ? H5T_STD_I32LE : H5T_STD_I64LE;
  }
}

template <class Value>
hid_t own_type() {
  if constexpr (std::is_same_v<Value, float>) {
    return H5T_NATIVE_FLOAT;
  } else {
    return sizeof(Value) == sizeof(std::int32_t) ? H5T_NATIVE_INT32 : H5T_NATIVE_INT64;
  }
}

/// Where the parts of each row begin, and of each part whose it is.
struct Parts {
  std::vector<std::int64_t> first;
  std::vector<std::int64_t> owner;
};

Parts parts_of(const std::vector<UnitRow>& rows, std::int32_t UnitRow::*count, std::int64_t first_row,
               std::int64_t first_part) {
  Parts parts;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    parts.first.push_back(first_part + std::ssize(parts.owner));
    parts.owner.insert(parts.owner.end(), static_cast<std::size_t>(rows[row].*count),
                       first_row + static_cast<std::int64_t>(row));
  }
  return parts;
}

void write_flags(hid_t dataset, std::span<const std::string_view> meanings) {
  std::vector<std::int64_t> values(meanings.size());
  std::iota(values.begin(), values.end(), std::int64_t{0});
  hdf5::write_ints(dataset, "flag_values", values);
  hdf5::write_string(dataset, "flag_meanings", fmt::format("{}", fmt::join(meanings, " ")));
}

}  // namespace

UnitsWriter::UnitsWriter(hid_t file, std::span<const PointOutline> points) {
  for (const PointOutline& point : points) {
    first_.push_back(rows_);
    if (point.units) {
      std::ranges::transform(rows_, point.units->counts, rows_.begin(), std::plus<>());
    }
  }
  const Handle units = hdf5::create_group(file, "unit_record");
  write_points(units.get(), points);
  for (const TableNames& names : kTables) {
    make_table(units.get(), std::string(names.table));
  }
  const auto add = [this](std::string_view table, const char* name, std::string_view long_name) {
    add_column(tables_.find(table)->second, name, H5T_STD_I64LE, "1", long_name);
  };
  add("choices", "point", "place of the point in the file");
  add("choices", "first_entry", "row in entries where its own begin");
  add("choices", "first_extent", "row in extents where its own begin");
  add("entries", "choice", "row in choices whose entry it is");
  add("extents", "choice", "row in choices that it was read for");
  add("requests", "point", "place of the point in the file");
  RecordedUnits().for_each_table([this](std::string_view name, const auto& rows) {
    for (const auto& column : columns_of(rows)) {
      std::visit(
          [&]<class Row, class Value>(Value Row::* /*member*/) {
            add_column(tables_.find(name)->second, std::string(column.name), stored_type<Value>(),
                       column.unit, column.long_name);
          },
          column.member);
    }
  });
  write_flags(tables_.find("choices")->second.columns.find("role")->second.get(), kUnitRoles);
  write_flags(tables_.find("requests")->second.columns.find("use")->second.get(), kReadUses);
}

void UnitsWriter::write_points(hid_t group, std::span<const PointOutline> points) const {
  std::vector<std::string> names;
  std::vector<std::string> stages;
  std::vector<std::string> tiers;
  std::array<std::vector<std::int64_t>, kUnitTables> counts;
  for (const PointOutline& point : points) {
    const UnitsOutline units = point.units.value_or(UnitsOutline{});
    names.push_back(point.name);
    stages.push_back(fmt::format("{}", fmt::join(units.stages, "\n")));
    tiers.push_back(fmt::format("{}", fmt::join(units.tiers, "\n")));
    for (std::size_t table = 0; table < kUnitTables; ++table) {
      counts.at(table).push_back(units.counts.at(table));
    }
  }
  const Handle scale = write_texts(group, "point", names);
  make_scale(scale, "point", "configuration");
  const auto finish = [&scale](const Handle& dataset, std::string_view long_name) {
    hdf5::write_string(dataset.get(), "long_name", long_name);
    require(H5DSattach_scale(dataset.get(), scale.get(), 0), dataset.get());
  };
  finish(write_texts(group, "stages", stages), "stages of the system in its order, a line each");
  finish(write_texts(group, "tiers", tiers),
         "tiers of memory, fastest first, a line each; none where no units are recorded");
  for (std::size_t table = 0; table < kUnitTables; ++table) {
    finish(write_integers(group, std::string(kTables.at(table).counts), counts.at(table)),
           fmt::format("rows in {}", kTables.at(table).table));
  }
}

void UnitsWriter::make_table(hid_t units, const std::string& name) {
  const auto names = std::ranges::find(kTables, name, &TableNames::table);
  Table table{.group = hdf5::create_group(units, name),
              .scale = {},
              .rows = rows_.at(static_cast<std::size_t>(names - kTables.begin()))};
  table.scale = write_integers(table.group.get(), names->dimension, counted(table.rows));
  make_scale(table.scale, names->dimension, "row of the table");
  tables_.emplace(name, std::move(table));
}

void UnitsWriter::add_column(Table& table, const std::string& name, hid_t type, std::string_view unit,
                             std::string_view long_name) {
  const hsize_t chunk = std::clamp<hsize_t>(kChunkBytes / H5Tget_size(type), 1,
                                            std::max<hsize_t>(1, static_cast<hsize_t>(table.rows)));
  const hdf5::Storage storage =
      table.rows > 0 ? hdf5::Storage{.chunk = {chunk}, .deflate = kDeflate} : hdf5::Storage{};
  Handle dataset =
      hdf5::create_dataset(table.group.get(), name, type, {static_cast<hsize_t>(table.rows)}, storage);
  hdf5::write_string(dataset.get(), "units", unit);
  hdf5::write_string(dataset.get(), "long_name", long_name);
  require(H5DSattach_scale(dataset.get(), table.scale.get(), 0), dataset.get());
  table.columns.emplace(name, std::move(dataset));
}

void UnitsWriter::write_column(std::string_view table, std::string_view name, hid_t type, std::int64_t first,
                               std::size_t count, const void* values) {
  if (count > 0) {
    const Handle& dataset = tables_.find(table)->second.columns.find(name)->second;
    hdf5::write_block(dataset.get(), type, {static_cast<hsize_t>(first)}, {count}, values);
  }
}

void UnitsWriter::write(std::size_t point, const RecordedUnits& units) {
  const UnitCounts& first = first_[point];
  std::size_t place = 0;
  units.for_each_table([&](std::string_view name, const auto& rows) {
    const std::int64_t first_row = first.at(place++);
    for (const auto& column : columns_of(rows)) {
      std::visit(
          [&]<class Row, class Value>(Value Row::*member) {
            std::vector<Value> values;
            std::ranges::transform(rows, std::back_inserter(values), member);
            write_column(name, column.name, own_type<Value>(), first_row, values.size(), values.data());
          },
          column.member);
    }
  });
  const auto write_whole = [this](std::string_view table, std::string_view name, std::int64_t first_row,
                                  const std::vector<std::int64_t>& values) {
    write_column(table, name, H5T_NATIVE_INT64, first_row, values.size(), values.data());
  };
  const auto [choices, entries, extents, requests] = first;
  const auto number = static_cast<std::int64_t>(point);
  write_whole("choices", "point", choices, std::vector<std::int64_t>(units.choices.size(), number));
  write_whole("requests", "point", requests, std::vector<std::int64_t>(units.requests.size(), number));
  const Parts of_entries = parts_of(units.choices, &UnitRow::entry_count, choices, entries);
  const Parts of_extents = parts_of(units.choices, &UnitRow::extent_count, choices, extents);
  write_whole("choices", "first_entry", choices, of_entries.first);
  write_whole("choices", "first_extent", choices, of_extents.first);
  write_whole("entries", "choice", entries, of_entries.owner);
  write_whole("extents", "choice", extents, of_extents.owner);
}

}  // namespace kvr

#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "sim/results/outline.hpp"
#include "sim/results/units/recorded_units.hpp"

namespace kvr {

/// Writes the group /unit_record of a results file.
///
/// It has a group of flat columns for each table of RecordedUnits, `choices`, `entries`, `extents` and
/// `requests`, each along a scale of its own, `choice` and the like, that numbers the rows of all points, one
/// after the other. A choice says in `first_entry` and `first_extent` where its own begin, and these in
/// `choice` whose they are; choices and requests have in `point` the place of their point in the file. In
/// /unit_record itself, along `point`, are the sizes of the tables and, a line each, what stages and tiers
/// are called.
class UnitsWriter {
 public:
  /// Some of `points` have units recorded. Throws SystemError where nothing can be written.
  UnitsWriter(hid_t file, std::span<const PointOutline> points);

  /// Points in any order, each once.
  void write(std::size_t point, const RecordedUnits& units);

 private:
  /// A table's columns, the ones of its rows first.
  struct Table {
    hdf5::Handle group;
    hdf5::Handle scale;
    std::map<std::string, hdf5::Handle, std::less<>> columns = {};
    std::int64_t rows = 0;
  };

  void write_points(hid_t group, std::span<const PointOutline> points) const;
  void make_table(hid_t units, const std::string& name);
  void add_column(Table& table, const std::string& name, hid_t type, std::string_view unit,
                  std::string_view long_name);
  void write_column(std::string_view table, std::string_view name, hid_t type, std::int64_t first,
                    std::size_t count, const void* values);

  std::vector<UnitCounts> first_;  ///< [points]: rows of the points before
  UnitCounts rows_{};
  std::map<std::string, Table, std::less<>> tables_;
};

}  // namespace kvr

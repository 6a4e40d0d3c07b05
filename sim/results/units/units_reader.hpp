#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "sim/results/units/recorded_units.hpp"

namespace kvr {

/// Reads the group /unit_record of a results file, which need not be trusted: what UnitsWriter would not have
/// written is an InputError.
class UnitsReader {
 public:
  /// `file` stays open. Without the group no point has units.
  UnitsReader(hid_t file, std::size_t points);

  std::optional<UnitsOutline> outline(std::size_t point) const;
  /// Of a point that has an outline.
  RecordedUnits read(std::size_t point) const;
  /// Reads everything.
  void check() const;

 private:
  void read_points(std::size_t points);
  template <class Value, class Row>
  void read_column(const std::string& place, std::int64_t first, Value Row::*member,
                   std::vector<Row>& rows) const;

  hid_t file_;
  std::vector<std::optional<UnitsOutline>> outlines_;  ///< [points]
  std::vector<UnitCounts> first_;                      ///< [points]
  UnitCounts rows_{};
};

}  // namespace kvr

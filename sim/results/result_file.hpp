#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/hdf5.hpp"
#include "sim/interfaces/axis_value.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/results/metrics.hpp"
#include "sim/results/units/recorded_units.hpp"

namespace kvr {

/// One dimension of the datasets of a results file, with what stands along it: texts or whole numbers.
struct ResultAxis {
  std::string name;                   ///< as in write_results; "kv_head" also where a file says "head"
  std::vector<std::string> texts;     ///< of `point` and `tier`
  std::vector<std::int64_t> numbers;  ///< of the others

  std::size_t size() const { return texts.empty() ? numbers.size() : texts.size(); }
  std::string label(std::size_t place) const;
};

/// What a dataset of a results file says of itself.
struct ResultDataset {
  std::string name;  ///< without its group
  Origin origin;     ///< which is the group
  std::string unit;
  std::string long_name;
  std::string formula;
  std::string policy;             ///< whose own figure it is; empty: nobody's
  std::vector<std::string> dims;  ///< names of axes; "point" is the first
  hdf5::Shape shape;

  bool is_summary() const { return dims.size() == 1; }
};

struct ResultPoint {
  std::string name;
  std::string variant;  ///< what points that differ in the seed alone have in common
  std::int64_t seed;
  std::string resolved_config;  ///< YAML
  std::vector<std::string> notes;
  std::int64_t number;          ///< its place in the configuration; in the file where that does not say
  std::vector<AxisValue> axes;  ///< of its sweep, those that vary for it
  std::vector<ModelError> model_errors;
};

/// A file that write_results wrote, opened for reading.
///
/// The file may come from anywhere: what is not as write_results leaves it is an InputError with the name of
/// the file, as is one that is cut short or contradicts itself. What leads the HDF5 library itself astray can
/// only be found in a process of its own (traces/checks/rehearsal.hpp), in which `check` reads everything.
/// Not thread-safe.
class ResultFile {
 public:
  explicit ResultFile(const std::filesystem::path& path);
  ~ResultFile();
  ResultFile(ResultFile&&) noexcept;
  ResultFile& operator=(ResultFile&&) noexcept;

  const std::filesystem::path& path() const;
  /// In the order of the file; names are unique, and there is one at least.
  const std::vector<ResultPoint>& points() const;
  /// As many as the run was to have; points().size() where the file does not say.
  std::int64_t points_planned() const;
  bool complete() const;
  /// By name, in alphabetical order.
  const std::vector<std::pair<std::string, std::string>>& provenance() const;
  /// Empty where there is none of that name.
  std::string provenance(std::string_view name) const;

  /// Of the name that ResultDataset::dims has; one that no dataset has is empty.
  const ResultAxis& axis(std::string_view name) const;
  /// Simulated ones first, in alphabetical order.
  const std::vector<ResultDataset>& datasets() const;
  /// Null where there is none.
  const ResultDataset* find(std::string_view name, Origin origin) const;

  /// [points] of a summary.
  std::vector<double> summary(const ResultDataset& dataset) const;
  /// The values of one point in C order; NaN where it has none.
  std::vector<double> block(const ResultDataset& dataset, std::size_t point) const;

  /// What was recorded of a point's units, all or all but the rows; nothing where that was not asked for.
  std::optional<UnitsOutline> units_outline(std::size_t point) const;
  RecordedUnits units(std::size_t point) const;

  /// Reads every value of every dataset, a few at a time.
  void check() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kvr

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// The mean of one row of each member of every unit, kept while members come.
class RunningMeans {
 public:
  explicit RunningMeans(std::int64_t dim) : dim_(dim), row_(static_cast<std::size_t>(dim)) {}

  void resize(std::int64_t units) { means_.resize(static_cast<std::size_t>(units * dim_), 0.0F); }
  std::span<const float> of(UnitId unit) const { return view().row(unit); }
  MatrixView<float> view() const {
    return matrix_view<float>(means_.data(), std::ssize(means_) / dim_, dim_);
  }

  void clear(UnitId unit) { std::ranges::fill(row(unit), 0.0F); }
  /// The unit's `count`-th member: mean += (value - mean) / count, which reads the value and the mean and
  /// writes the mean, each two bytes an element on the phone.
  void add(UnitId unit, std::span<const Half> value, std::int64_t count, Work& work) {
    to_float(value, row_);
    const auto share = static_cast<float>(count);
    std::ranges::transform(row(unit), row_, row(unit).begin(),
                           [share](float m, float k) { return m + (k - m) / share; });
    const auto d = static_cast<double>(dim_);
    work += {3.0 * d, 3.0 * 2.0 * d};
  }

 private:
  std::span<float> row(UnitId unit) {
    return matrix_ref(means_.data(), std::ssize(means_) / dim_, dim_).row(unit);
  }

  std::int64_t dim_;
  std::vector<float> means_;  ///< [units, dim]
  std::vector<float> row_;    ///< scratch
};

}  // namespace kvr

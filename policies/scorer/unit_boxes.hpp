#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "policies/scorer/unit_summaries.hpp"
#include "sim/base/convert.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// The least and the largest value of each channel, over the keys of every unit's members.
class UnitBoxes {
 public:
  explicit UnitBoxes(std::int64_t dim) : dim_(dim), key_(static_cast<std::size_t>(dim)) {}

  std::int64_t units() const { return units_; }
  std::span<const float> least(UnitId unit) const { return view(least_).row(unit); }
  std::span<const float> largest(UnitId unit) const { return view(largest_).row(unit); }
  /// The largest logit that any key within each unit's box could have: `queries` [rows, dim], `logits` [rows,
  /// units].
  void bound(const MatrixView<float>& queries, double attention_scale, const MatrixRef<float>& logits) const {
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      for (UnitId unit = 0; unit < logits.cols; ++unit) {
        logits.row(query)[static_cast<std::size_t>(unit)] =
            static_cast<float>(attention_scale) * largest_product(queries.row(query), unit);
      }
    }
  }
  /// Both ends of the boxes in fp16.
  std::int64_t dram_bytes() const { return units_ * dim_ * 2 * 2; }

  /// created, split, removed: the box anew from the members; regrouped: of all units; appended: it grows.
  void follow(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) {
    units_ = clustering.unit_count();
    least_.resize(static_cast<std::size_t>(units_ * dim_));
    largest_.resize(least_.size());
    follow_units(
        changes, clustering, [&](UnitId unit) { enclose(unit, clustering, view, work); },
        [&](const Change& change) { widen(change.entry, change.unit, view, work); });
  }

 private:
  MatrixView<float> view(const std::vector<float>& ends) const {
    return matrix_view(ends.data(), units_, dim_);
  }
  std::span<float> row(std::vector<float>& ends, UnitId unit) const {
    return matrix_ref(ends.data(), units_, dim_).row(unit);
  }

  float largest_product(std::span<const float> query, UnitId unit) const {
    const auto lower = least(unit);
    const auto upper = largest(unit);
    float sum = 0.0F;
    for (std::size_t channel = 0; channel < query.size(); ++channel) {
      sum += std::max(query[channel] * lower[channel], query[channel] * upper[channel]);
    }
    return sum;
  }

  void enclose(UnitId unit, const Clustering& clustering, const HeadView& view, Work& work) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    std::ranges::fill(row(least_, unit), kInfinity);
    std::ranges::fill(row(largest_, unit), -kInfinity);
    for (const EntryIndex entry : clustering.members(unit)) {
      widen(entry, unit, view, work);
    }
  }

  void widen(EntryIndex entry, UnitId unit, const HeadView& view, Work& work) {
    constexpr double kBytes = 2.0;  // an element in fp16
    to_float(view.keys.row(entry), key_);
    const auto lesser = [](float a, float b) { return std::min(a, b); };
    const auto larger = [](float a, float b) { return std::max(a, b); };
    std::ranges::transform(row(least_, unit), key_, row(least_, unit).begin(), lesser);
    std::ranges::transform(row(largest_, unit), key_, row(largest_, unit).begin(), larger);
    const auto d = static_cast<double>(dim_);
    work += {2.0 * d, 5.0 * kBytes * d};
  }

  std::int64_t dim_;
  std::int64_t units_ = 0;
  std::vector<float> least_;    ///< [units, dim]
  std::vector<float> largest_;  ///< [units, dim]
  std::vector<float> key_;      ///< scratch
};

}  // namespace kvr

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {

/// The members' keys of one head as their products with a few directions, which stay in DRAM two bytes an
/// element. What that costs is its owner's to charge.
class ProjectedKeys {
 public:
  explicit ProjectedKeys(std::int64_t head_dim) : head_dim_(head_dim) {}

  /// `basis` [head_dim, width], as fp16 has it; before any change is followed.
  void take_basis(std::vector<float> basis) {
    width_ = std::ssize(basis) / head_dim_;
    basis_ = std::move(basis);
  }

  /// How many keys are kept.
  std::int64_t count() const { return count_; }

  /// A key is projected once, when its entry is a member of a unit, and kept until that is removed. Returns
  /// how many were projected.
  std::int64_t follow(std::span<const Change> changes, const Clustering& clustering, const HeadView& view) {
    kept_.resize(static_cast<std::size_t>(view.entries() * width_));
    has_.resize(static_cast<std::size_t>(view.entries()), false);
    std::int64_t projected = 0;
    for (const Change& change : changes) {
      if (change.kind == ChangeKind::removed) {
        forget(change.entry);
      } else if (change.kind == ChangeKind::appended) {
        projected += keep(change.entry, view);
      } else if (change.kind == ChangeKind::created || change.kind == ChangeKind::split) {
        projected += keep_members(change.unit, clustering, view);
        projected += change.kind == ChangeKind::split ? keep_members(change.other, clustering, view) : 0;
      } else if (change.kind == ChangeKind::regrouped) {
        for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
          projected += keep_members(unit, clustering, view);
        }
      }
    }
    return projected;
  }

  /// [queries, entries], of use for what is kept; valid until the next call. `queries` [queries, head_dim].
  MatrixView<float> dots(const MatrixView<float>& queries) {
    std::vector<float> projected(static_cast<std::size_t>(queries.rows * width_));
    const auto projections = matrix_ref(projected.data(), queries.rows, width_);
    kernels::multiply(queries, basis(), projections);
    const std::int64_t entries = std::ssize(has_);
    dots_.resize(static_cast<std::size_t>(queries.rows * entries));
    const auto dots = matrix_ref(dots_.data(), queries.rows, entries);
    kernels::dot_rows(projections.view(), matrix_view<Half>(kept_.data(), entries, width_), dots);
    return dots.view();
  }

 private:
  static constexpr float kLargestHalf = 65504.0F;

  MatrixView<float> basis() const { return matrix_view(basis_.data(), head_dim_, width_); }

  std::int64_t keep_members(UnitId unit, const Clustering& clustering, const HeadView& view) {
    std::int64_t projected = 0;
    for (const EntryIndex entry : clustering.members(unit)) {
      projected += keep(entry, view);
    }
    return projected;
  }

  std::int64_t keep(EntryIndex entry, const HeadView& view) {
    const auto at = static_cast<std::size_t>(entry);
    if (has_[at]) {
      return 0;
    }
    has_[at] = true;
    ++count_;
    std::vector<float> key(static_cast<std::size_t>(head_dim_));
    to_float(view.keys.row(entry), key);
    std::vector<float> projected(static_cast<std::size_t>(width_));
    kernels::multiply(matrix_view(key.data(), 1, head_dim_), basis(),
                      matrix_ref(projected.data(), 1, width_));
    for (float& element : projected) {  // longer than any channel of the key it may be too large for fp16
      element = std::clamp(element, -kLargestHalf, kLargestHalf);
    }
    to_half(projected, matrix_ref(kept_.data(), std::ssize(has_), width_).row(entry));
    return 1;
  }

  void forget(EntryIndex entry) {
    const auto at = static_cast<std::size_t>(entry);
    count_ -= has_[at] ? 1 : 0;
    has_[at] = false;
  }

  std::int64_t head_dim_;
  std::int64_t width_ = 0;
  std::vector<float> basis_;  ///< [head_dim, width]
  std::vector<Half> kept_;    ///< [entries, width]
  std::vector<bool> has_;     ///< [entries]: whether its projection is kept
  std::int64_t count_ = 0;
  std::vector<float> dots_;  ///< [queries, entries], scratch
};

}  // namespace kvr

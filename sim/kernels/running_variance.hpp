#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/matrix.hpp"

namespace kvr::kernels {

/// Count n, centroid r and variance s2 of a growing set of vectors, each addition in O(d).
///
/// s2 is the mean squared distance to the centroid, (1/n) * sum ||x - r||^2, 0 for an empty set. With
/// delta = x - r before the addition, m2 = n * s2:
///   r += delta / (n + 1),  m2 += ||delta||^2 * n / (n + 1)
/// (Welford 1962, in vector form; the merge of two sets is that of Chan, Golub and LeVeque 1983). State is
/// double, so that thousands of additions do not drift.
class RunningCluster {
 public:
  explicit RunningCluster(std::int64_t dimension);
  /// Of the rows [n, d], by two passes.
  static RunningCluster of(MatrixView<float> rows);

  void add(std::span<const float> x);
  void merge(const RunningCluster& other);

  std::int64_t count() const { return count_; }
  /// [d]; zeros while empty.
  std::span<const double> centroid() const { return centroid_; }
  void copy_centroid(std::span<float> out) const;
  double variance() const;
  /// What variance() would be after add(x).
  double variance_with(std::span<const float> x) const;

 private:
  std::int64_t count_ = 0;
  std::vector<double> centroid_;
  double m2_ = 0.0;
};

}  // namespace kvr::kernels

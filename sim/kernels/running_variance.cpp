#include "sim/kernels/running_variance.hpp"

#include <algorithm>

#include "sim/base/dispatch.hpp"
#include "sim/base/error.hpp"

namespace kvr::kernels {
namespace detail {

/// ||x - centroid||^2 by partial sums.
KVR_DISPATCHED double distance_to_centroid(const float* x, const double* centroid, std::int64_t d) {
  double sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= d; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const double delta = static_cast<double>(x[i + lane]) - centroid[i + lane];
      sums[lane] += delta * delta;
    }
  }
  for (int lane = 0; lane < d - i; ++lane) {
    const double delta = static_cast<double>(x[i + lane]) - centroid[i + lane];
    sums[lane] += delta * delta;
  }
  double total = 0.0;
  for (const double sum : sums) {
    total += sum;
  }
  return total;
}

}  // namespace detail

RunningCluster::RunningCluster(std::int64_t dimension)
    : centroid_(static_cast<std::size_t>(dimension), 0.0) {}

RunningCluster RunningCluster::of(MatrixView<float> rows) {
  RunningCluster cluster(rows.cols);
  if (rows.rows == 0) {
    return cluster;
  }
  cluster.count_ = rows.rows;
  double* centroid = cluster.centroid_.data();
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    const float* row = rows.row_data(i);
    for (std::int64_t c = 0; c < rows.cols; ++c) {
      centroid[c] += static_cast<double>(row[c]);
    }
  }
  for (double& channel : cluster.centroid_) {
    channel /= static_cast<double>(rows.rows);
  }
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    cluster.m2_ += detail::distance_to_centroid(rows.row_data(i), centroid, rows.cols);
  }
  return cluster;
}

void RunningCluster::add(std::span<const float> x) {
  KVR_CHECK(x.size() == centroid_.size(), "lengths {} and {}", x.size(), centroid_.size());
  const double distance =
      detail::distance_to_centroid(x.data(), centroid_.data(), static_cast<std::int64_t>(x.size()));
  const auto before = static_cast<double>(count_);
  const double after = before + 1.0;
  m2_ += distance * before / after;
  for (std::size_t c = 0; c < x.size(); ++c) {
    centroid_[c] += (static_cast<double>(x[c]) - centroid_[c]) / after;
  }
  ++count_;
}

void RunningCluster::merge(const RunningCluster& other) {
  KVR_CHECK(other.centroid_.size() == centroid_.size(), "lengths {} and {}", other.centroid_.size(),
            centroid_.size());
  if (other.count_ == 0) {
    return;
  }
  const auto mine = static_cast<double>(count_);
  const auto theirs = static_cast<double>(other.count_);
  double distance = 0.0;
  for (std::size_t c = 0; c < centroid_.size(); ++c) {
    const double delta = other.centroid_[c] - centroid_[c];
    distance += delta * delta;
    centroid_[c] += delta * theirs / (mine + theirs);
  }
  m2_ += other.m2_ + distance * mine * theirs / (mine + theirs);
  count_ += other.count_;
}

void RunningCluster::copy_centroid(std::span<float> out) const {
  KVR_CHECK(out.size() == centroid_.size(), "lengths {} and {}", out.size(), centroid_.size());
  std::transform(centroid_.begin(), centroid_.end(), out.begin(),
                 [](double c) { return static_cast<float>(c); });
}

double RunningCluster::variance() const {
  return count_ == 0 ? 0.0 : m2_ / static_cast<double>(count_);
}

double RunningCluster::variance_with(std::span<const float> x) const {
  KVR_CHECK(x.size() == centroid_.size(), "lengths {} and {}", x.size(), centroid_.size());
  const double distance =
      detail::distance_to_centroid(x.data(), centroid_.data(), static_cast<std::int64_t>(x.size()));
  const auto before = static_cast<double>(count_);
  return (m2_ + distance * before / (before + 1.0)) / (before + 1.0);
}

}  // namespace kvr::kernels

#include "sim/cli/bench/peers.hpp"

// GCC 12's own AVX-512 headers seem to use uninitialised registers once they are inlined (GCC bug 105593);
// they come in with Eigen where the build is for a CPU with AVX-512.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <fmt/format.h>

#include <Eigen/Core>
#include <algorithm>
#include <numeric>

namespace kvr::bench {
namespace {

using Rows = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowsView = Eigen::Map<const Rows, 0, Eigen::OuterStride<>>;
using RowsRef = Eigen::Map<Rows, 0, Eigen::OuterStride<>>;

constexpr Eigen::Index kBlockRows = 1024;

RowsView eigen_view(MatrixView<float> m) {
  return {m.data, m.rows, m.cols, Eigen::OuterStride<>(m.stride)};
}

RowsRef eigen_ref(MatrixRef<float> m) {
  return {m.data, m.rows, m.cols, Eigen::OuterStride<>(m.stride)};
}

MatrixView<float> view_of(const Rows& rows) {
  return matrix_view(rows.data(), rows.rows(), rows.cols());
}

Rows gather(MatrixView<float> rows, std::span<const std::int32_t> entries) {
  Rows gathered(std::ssize(entries), rows.cols);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    std::copy_n(rows.row_data(entries[i]), rows.cols, gathered.row(static_cast<Eigen::Index>(i)).data());
  }
  return gathered;
}

/// Sum of the members of each cluster and their number.
struct Members {
  Rows sums;
  Eigen::VectorXf counts;
};

Members assign(const RowsView& points, const Rows& centroids) {
  Members members{Rows::Zero(centroids.rows(), centroids.cols()), Eigen::VectorXf::Zero(centroids.rows())};
  const Eigen::RowVectorXf half_norms = 0.5F * centroids.rowwise().squaredNorm().transpose();
  Rows products;
  for (Eigen::Index first = 0; first < points.rows(); first += kBlockRows) {
    const Eigen::Index count = std::min(kBlockRows, points.rows() - first);
    products.noalias() = points.middleRows(first, count) * centroids.transpose();
    products.rowwise() -= half_norms;
    for (Eigen::Index i = 0; i < count; ++i) {
      Eigen::Index nearest = 0;
      products.row(i).maxCoeff(&nearest);
      members.sums.row(nearest) += points.row(first + i);
      members.counts(nearest) += 1.0F;
    }
  }
  return members;
}

}  // namespace

std::string eigen_build() {
  return fmt::format("Eigen {}.{}.{} with {}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION, EIGEN_MINOR_VERSION,
                     Eigen::SimdInstructionSetsInUse());
}

void eigen_attend_all(MatrixView<float> queries, MatrixView<float> keys, MatrixView<float> values,
                      float scale, MatrixRef<float> out) {
  Rows weights = scale * (eigen_view(queries) * eigen_view(keys).transpose());
  weights.colwise() -= weights.rowwise().maxCoeff().eval();
  weights = weights.array().exp();
  const Eigen::VectorXf sums = weights.rowwise().sum();
  RowsRef result = eigen_ref(out);
  result.noalias() = weights * eigen_view(values);
  result.array().colwise() /= sums.array();
}

void eigen_attend_selected(MatrixView<float> queries, MatrixView<float> keys, MatrixView<float> values,
                           std::span<const std::int32_t> entries, float scale, MatrixRef<float> out) {
  const Rows some_keys = gather(keys, entries);
  const Rows some_values = gather(values, entries);
  eigen_attend_all(queries, view_of(some_keys), view_of(some_values), scale, out);
}

void eigen_dot_rows(MatrixView<float> queries, MatrixView<float> rows, MatrixRef<float> out) {
  eigen_ref(out).noalias() = eigen_view(queries) * eigen_view(rows).transpose();
}

std::vector<std::int32_t> nth_element_top_k(std::span<const float> scores, std::size_t k) {
  std::vector<std::int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [scores](std::int32_t a, std::int32_t b) {
    const float score_a = scores[static_cast<std::size_t>(a)];
    const float score_b = scores[static_cast<std::size_t>(b)];
    return score_a > score_b || (score_a == score_b && a < b);
  };
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(k);
  std::nth_element(order.begin(), end, order.end(), better);
  std::sort(order.begin(), end, better);
  order.resize(k);
  return order;
}

double eigen_kmeans(MatrixView<float> points, MatrixView<float> initial, int iterations) {
  const RowsView rows = eigen_view(points);
  Rows centroids = eigen_view(initial);
  double kept = 0.0;  // sum over the clusters of n ||mean||^2
  for (int i = 0; i < iterations; ++i) {
    const Members members = assign(rows, centroids);
    kept = 0.0;
    for (Eigen::Index k = 0; k < centroids.rows(); ++k) {
      if (members.counts(k) > 0.0F) {
        centroids.row(k) = members.sums.row(k) / members.counts(k);
        kept += static_cast<double>(members.counts(k) * centroids.row(k).squaredNorm());
      }
    }
  }
  return static_cast<double>(rows.rowwise().squaredNorm().sum()) - kept;
}

void eigen_to_float(std::span<const Half> from, std::span<float> to) {
  using Halves = Eigen::Matrix<Eigen::half, Eigen::Dynamic, 1>;
  const auto* data = reinterpret_cast<const Eigen::half*>(from.data());
  Eigen::Map<Eigen::VectorXf>(to.data(), std::ssize(to)) =
      Eigen::Map<const Halves>(data, std::ssize(from)).cast<float>();
}

void PlainVariance::add(std::span<const float> x) {
  const auto n = static_cast<double>(count_);
  double squared = 0.0;
  for (std::size_t i = 0; i < mean_.size(); ++i) {
    const double delta = static_cast<double>(x[i]) - mean_[i];
    mean_[i] += delta / (n + 1.0);
    squared += delta * delta;
  }
  m2_ += squared * n / (n + 1.0);
  ++count_;
}

}  // namespace kvr::bench

// seed centroids
// repeat up to max_iterations times:
//   each point takes the centroid of largest x.c - ||c||^2 / 2, that is of least ||x - c||^2
//     (cosine: of largest x.c / |c|)
//   each empty cluster takes the farthest member of the cluster of largest inertia
//   centroid = mean of its members
//   stop when no point moved, or the inertia fell by no more than the tolerance
// inertia of the result by the centroids returned
#include "sim/kernels/kmeans.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/nearest.hpp"
#include "sim/kernels/seeding.hpp"

namespace kvr::kernels {
namespace {

std::size_t as_size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

/// The distance that `metric` minimises: ||a - b||^2, or 1 - cosine (never negative).
float distance(std::span<const float> a, std::span<const float> b, Metric metric) {
  if (metric == Metric::kL2) {
    return squared_distance(a, b);
  }
  return std::max(0.0F, 1.0F - dot(a, b) * inverse_norm(a) * inverse_norm(b));
}

class Lloyd {
 public:
  Lloyd(MatrixView<float> points, MatrixView<float> initial, Metric metric)
      : points_(points),
        metric_(metric),
        clusters_(initial.rows),
        point_scale_(map_rows(points, metric == Metric::kL2 ? squared_norm : inverse_norm)),
        centroids_(as_size(initial.rows * initial.cols)),
        assignment_(as_size(points.rows), -1),
        distance_(as_size(points.rows)),
        members_(as_size(initial.rows)),
        inertia_(as_size(initial.rows)) {
    for (std::int64_t k = 0; k < clusters_; ++k) {
      std::copy_n(initial.row_data(k), initial.cols, centroids().row_data(k));
    }
  }

  /// One iteration; whether a point changed its cluster.
  bool step() {
    std::vector<std::int32_t> previous = assignment_;
    assign();
    measure();
    fill_empty_clusters();
    update_centroids();
    return previous != assignment_;
  }

  /// Of the last assignment, by the centroids it was made with.
  double inertia() const { return std::accumulate(inertia_.begin(), inertia_.end(), 0.0); }

  KMeansResult finish(int iterations) {
    double inertia = 0.0;
    for (std::int64_t i = 0; i < points_.rows; ++i) {
      const std::span<const float> centroid = centroids().row(assignment_[as_size(i)]);
      inertia += static_cast<double>(distance(points_.row(i), centroid, metric_));
    }
    return {std::move(centroids_), std::move(assignment_), iterations, inertia};
  }

 private:
  MatrixRef<float> centroids() { return matrix_ref(centroids_.data(), clusters_, points_.cols); }

  void assign() {
    std::vector<float> best(as_size(points_.rows));
    best_products(points_, panels(), assignment_, best);
    for (std::size_t i = 0; i < best.size(); ++i) {
      const float d =
          metric_ == Metric::kL2 ? point_scale_[i] - 2.0F * best[i] : 1.0F - best[i] * point_scale_[i];
      distance_[i] = std::max(0.0F, d);
    }
  }

  CandidatePanels panels() {
    const MatrixView<float> rows = centroids().view();
    if (metric_ == Metric::kL2) {
      std::vector<float> bias = map_rows(rows, squared_norm);
      std::transform(bias.begin(), bias.end(), bias.begin(), [](float norm) { return -0.5F * norm; });
      return {rows, bias};
    }
    std::vector<float> directions(centroids_.size());
    for (std::int64_t k = 0; k < clusters_; ++k) {
      add_scaled(inverse_norm(rows.row(k)), rows.row(k),
                 {directions.data() + k * rows.cols, as_size(rows.cols)});
    }
    const std::vector<float> no_bias(as_size(clusters_), 0.0F);
    return {matrix_view(directions.data(), clusters_, rows.cols), no_bias};
  }

  void measure() {
    std::fill(members_.begin(), members_.end(), 0);
    std::fill(inertia_.begin(), inertia_.end(), 0.0);
    for (std::size_t i = 0; i < assignment_.size(); ++i) {
      const auto k = as_size(assignment_[i]);
      ++members_[k];
      inertia_[k] += static_cast<double>(distance_[i]);
    }
  }

  void fill_empty_clusters() {
    for (std::int64_t empty = 0; empty < clusters_; ++empty) {
      if (members_[as_size(empty)] == 0) {
        move_point(farthest_member(widest_cluster()), empty);
      }
    }
  }

  /// Largest inertia among clusters with a member to spare; as clusters <= points there is one.
  std::int64_t widest_cluster() const {
    std::int64_t widest = -1;
    for (std::int64_t k = 0; k < clusters_; ++k) {
      const bool spare = members_[as_size(k)] >= 2;
      if (spare && (widest < 0 || inertia_[as_size(k)] > inertia_[as_size(widest)])) {
        widest = k;
      }
    }
    KVR_CHECK(widest >= 0, "{} clusters of {} points", clusters_, points_.rows);
    return widest;
  }

  std::int64_t farthest_member(std::int64_t cluster) const {
    std::int64_t farthest = -1;
    for (std::int64_t i = 0; i < points_.rows; ++i) {
      const bool member = assignment_[as_size(i)] == cluster;
      if (member && (farthest < 0 || distance_[as_size(i)] > distance_[as_size(farthest)])) {
        farthest = i;
      }
    }
    return farthest;
  }

  void move_point(std::int64_t point, std::int64_t to) {
    const auto i = as_size(point);
    const auto from = as_size(assignment_[i]);
    --members_[from];
    inertia_[from] -= static_cast<double>(distance_[i]);
    assignment_[i] = static_cast<std::int32_t>(to);
    distance_[i] = 0.0F;
    members_[as_size(to)] = 1;
  }

  void update_centroids() {
    std::vector<double> sums(centroids_.size(), 0.0);
    for (std::int64_t i = 0; i < points_.rows; ++i) {
      const float* point = points_.row_data(i);
      double* sum = sums.data() + assignment_[as_size(i)] * points_.cols;
      for (std::int64_t c = 0; c < points_.cols; ++c) {
        sum[c] += static_cast<double>(point[c]);
      }
    }
    for (std::int64_t k = 0; k < clusters_; ++k) {
      const auto count = static_cast<double>(members_[as_size(k)]);
      for (std::int64_t c = 0; c < points_.cols; ++c) {
        centroids().row_data(k)[c] = static_cast<float>(sums[as_size(k * points_.cols + c)] / count);
      }
    }
  }

  MatrixView<float> points_;
  Metric metric_;
  std::int64_t clusters_;
  std::vector<float> point_scale_;  // [n] ||x||^2, or 1 / |x|
  std::vector<float> centroids_;    // [clusters, d]
  std::vector<std::int32_t> assignment_;
  std::vector<float> distance_;  // [n] of each point to its centroid, by the metric
  std::vector<std::int64_t> members_;
  std::vector<double> inertia_;  // [clusters]
};

void check_options(MatrixView<float> points, const KMeansOptions& options) {
  KVR_CHECK(options.clusters >= 1 && options.clusters <= points.rows, "{} clusters of {} points",
            options.clusters, points.rows);
  KVR_CHECK(options.max_iterations >= 1, "{} iterations", options.max_iterations);
  KVR_CHECK(options.tolerance >= 0.0, "tolerance {}", options.tolerance);
}

std::vector<float> copy_rows(MatrixView<float> points, std::span<const std::int64_t> chosen) {
  std::vector<float> rows;
  rows.reserve(chosen.size() * as_size(points.cols));
  for (const std::int64_t i : chosen) {
    rows.insert(rows.end(), points.row(i).begin(), points.row(i).end());
  }
  return rows;
}

std::int64_t farthest_row(MatrixView<float> points, std::span<const float> from) {
  std::vector<float> distances(as_size(points.rows));
  squared_distance_rows(from, points, distances);
  return std::max_element(distances.begin(), distances.end()) - distances.begin();
}

std::vector<float> mean_row(MatrixView<float> points) {
  std::vector<double> sum(as_size(points.cols), 0.0);
  for (std::int64_t i = 0; i < points.rows; ++i) {
    const std::span<const float> row = points.row(i);
    std::transform(row.begin(), row.end(), sum.begin(), sum.begin(),
                   [](float x, double s) { return s + static_cast<double>(x); });
  }
  std::vector<float> mean(sum.size());
  const auto n = static_cast<double>(points.rows);
  std::transform(sum.begin(), sum.end(), mean.begin(), [n](double s) { return static_cast<float>(s / n); });
  return mean;
}

}  // namespace

KMeansResult kmeans(MatrixView<float> points, const KMeansOptions& options, Rng& rng) {
  check_options(points, options);
  const std::vector<std::int64_t> seeds = choose_seeds(points, options, rng);
  const std::vector<float> initial = copy_rows(points, seeds);
  return kmeans_from(points, matrix_view(initial.data(), options.clusters, points.cols), options);
}

KMeansResult kmeans_from(MatrixView<float> points, MatrixView<float> initial, const KMeansOptions& options) {
  check_options(points, options);
  KVR_CHECK(initial.rows == options.clusters && initial.cols == points.cols, "initial [{}, {}] for [{}, {}]",
            initial.rows, initial.cols, options.clusters, points.cols);
  Lloyd lloyd(points, initial, options.metric);
  double inertia = std::numeric_limits<double>::infinity();
  int iterations = 0;
  while (iterations < options.max_iterations) {
    ++iterations;
    const bool moved = lloyd.step();
    const double gain = inertia - lloyd.inertia();
    inertia = lloyd.inertia();
    const bool settled = options.tolerance > 0.0 && gain <= options.tolerance * inertia;
    if (!moved || settled) {
      break;
    }
  }
  return lloyd.finish(iterations);
}

KMeansResult two_means(MatrixView<float> points, int max_iterations) {
  KVR_CHECK(points.rows >= 2, "{} points", points.rows);
  const std::vector<float> mean = mean_row(points);
  const std::int64_t first = farthest_row(points, mean);
  const std::int64_t second = farthest_row(points, points.row(first));
  const std::vector<float> initial = copy_rows(points, std::vector<std::int64_t>{first, second});
  return kmeans_from(points, matrix_view(initial.data(), 2, points.cols),
                     {.clusters = 2, .max_iterations = max_iterations});
}

std::int32_t nearest_centroid(std::span<const float> x, MatrixView<float> centroids, Metric metric) {
  KVR_CHECK(centroids.rows >= 1, "{} centroids", centroids.rows);
  std::vector<float> badness(as_size(centroids.rows));
  if (metric == Metric::kL2) {
    squared_distance_rows(x, centroids, badness);
  } else {
    dot_rows(row_view(x), centroids, row_ref(std::span<float>(badness)));
    for (std::int64_t k = 0; k < centroids.rows; ++k) {
      badness[as_size(k)] *= -inverse_norm(centroids.row(k));
    }
  }
  return static_cast<std::int32_t>(std::min_element(badness.begin(), badness.end()) - badness.begin());
}

}  // namespace kvr::kernels

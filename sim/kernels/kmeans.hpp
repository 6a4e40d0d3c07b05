#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/base/rng.hpp"

namespace kvr::kernels {

/// How a point chooses its centroid; either way the centroid is the plain mean of its members.
enum class Metric {
  kL2,     ///< smallest ||x - c||^2
  kCosine  ///< largest x.c / (|x| |c|), as ClusterKV (2024) assigns keys; a zero vector has cosine 0
};

enum class Seeding {
  kPlusPlus,   ///< k-means++ (Arthur and Vassilvitskii 2007), by the metric's distance
  kRandomRows  ///< distinct rows, uniformly
};

struct KMeansOptions {
  std::int64_t clusters = 1;
  int max_iterations = 10;
  /// Stop when an iteration lowers the inertia by no more than this share of it; 0: only when nothing moved.
  double tolerance = 0.0;
  Metric metric = Metric::kL2;
  Seeding seeding = Seeding::kPlusPlus;
};

struct KMeansResult {
  std::vector<float> centroids;  ///< [clusters, d], each the mean of its members (float of a double sum)
  std::vector<std::int32_t> assignment;  ///< [n], 0 .. clusters-1; no cluster is empty
  int iterations = 0;
  double inertia = 0.0;  ///< sum over the points of ||x - c||^2, or of 1 - cosine
};

/// Lloyd's k-means of points [n, d]; 1 <= clusters <= n, max_iterations >= 1. Ties go to the lower index.
///
/// An empty cluster, lowest index first, takes from the cluster of largest inertia that has two members or
/// more the member farthest from its centroid (ties: lower index), so all clusters survive, even among
/// duplicates. Distances are those of ||x||^2 - 2 x.c + ||c||^2 in float: points far from the origin lose
/// digits.
KMeansResult kmeans(MatrixView<float> points, const KMeansOptions& options, Rng& rng);

/// The same from given initial centroids [options.clusters, d]; options.seeding is not used.
KMeansResult kmeans_from(MatrixView<float> points, MatrixView<float> initial, const KMeansOptions& options);

/// Splits a small set of points [n, d], n >= 2, in two: Lloyd (L2) from the point farthest from the mean and
/// the point farthest from that one (ties: lower index). No randomness.
KMeansResult two_means(MatrixView<float> points, int max_iterations);

/// The centroid that x [d] would choose of centroids [k, d], k >= 1; ties to the lower index. Differences are
/// taken before squaring, so this may differ from kmeans' own choice where two centroids are equally far up
/// to rounding.
std::int32_t nearest_centroid(std::span<const float> x, MatrixView<float> centroids,
                              Metric metric = Metric::kL2);

}  // namespace kvr::kernels

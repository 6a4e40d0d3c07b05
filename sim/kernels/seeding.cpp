// k-means++ (Arthur and Vassilvitskii 2007):
//   the first row uniformly
//   until there are enough: each row's weight = its distance to the nearest row chosen, draw one by weight
#include "sim/kernels/seeding.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/kernels/dot.hpp"

namespace kvr::kernels {
namespace {

std::size_t as_size(std::int64_t n) {
  return static_cast<std::size_t>(n);
}

}  // namespace

float squared_norm(std::span<const float> x) {
  return dot(x, x);
}

float inverse_norm(std::span<const float> x) {
  const float norm = std::sqrt(squared_norm(x));
  return norm > 0.0F ? 1.0F / norm : 0.0F;
}

std::vector<float> map_rows(MatrixView<float> rows, float (*function)(std::span<const float>)) {
  std::vector<float> values(as_size(rows.rows));
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    values[as_size(i)] = function(rows.row(i));
  }
  return values;
}

namespace {

/// A row with probability proportional to its weight; uniform if all weights are 0.
std::int64_t draw_weighted(std::span<const float> weights, Rng& rng) {
  double total = 0.0;
  for (const float weight : weights) {
    total += static_cast<double>(weight);
  }
  if (total <= 0.0) {
    return static_cast<std::int64_t>(rng.below(weights.size()));
  }
  double left = rng.uniform() * total;
  std::size_t last_possible = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    left -= static_cast<double>(weights[i]);
    last_possible = weights[i] > 0.0F ? i : last_possible;
    if (left < 0.0) {
      return static_cast<std::int64_t>(i);
    }
  }
  return static_cast<std::int64_t>(last_possible);  // rounding ate the last of the total
}

/// Distances of all rows to one of them.
void distances_to(MatrixView<float> points, std::int64_t chosen, Metric metric,
                  std::span<const float> inverse_norms, std::span<float> out) {
  if (metric == Metric::kL2) {
    squared_distance_rows(points.row(chosen), points, out);
    return;
  }
  dot_rows(row_view(points.row(chosen)), points, row_ref(out));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = std::max(0.0F, 1.0F - out[i] * inverse_norms[i] * inverse_norms[as_size(chosen)]);
  }
  out[as_size(chosen)] = 0.0F;
}

std::vector<std::int64_t> seed_plus_plus(MatrixView<float> points, const KMeansOptions& options, Rng& rng) {
  const std::vector<float> inverse_norms = map_rows(points, inverse_norm);
  std::vector<float> nearest(as_size(points.rows), std::numeric_limits<float>::infinity());
  std::vector<float> to_last(nearest.size());
  std::vector<std::int64_t> chosen{static_cast<std::int64_t>(rng.below(nearest.size()))};
  while (static_cast<std::int64_t>(chosen.size()) < options.clusters) {
    distances_to(points, chosen.back(), options.metric, inverse_norms, to_last);
    for (std::size_t i = 0; i < nearest.size(); ++i) {
      nearest[i] = std::min(nearest[i], to_last[i]);
    }
    chosen.push_back(draw_weighted(nearest, rng));
  }
  return chosen;
}

/// Distinct rows: the first steps of a Fisher-Yates shuffle.
std::vector<std::int64_t> seed_random_rows(std::int64_t n, std::int64_t clusters, Rng& rng) {
  std::vector<std::int64_t> rows(as_size(n));
  std::iota(rows.begin(), rows.end(), 0);
  for (std::size_t i = 0; i < as_size(clusters); ++i) {
    std::swap(rows[i], rows[i + rng.below(rows.size() - i)]);
  }
  rows.resize(as_size(clusters));
  return rows;
}

}  // namespace

std::vector<std::int64_t> choose_seeds(MatrixView<float> points, const KMeansOptions& options, Rng& rng) {
  return options.seeding == Seeding::kPlusPlus ? seed_plus_plus(points, options, rng)
                                               : seed_random_rows(points.rows, options.clusters, rng);
}

}  // namespace kvr::kernels

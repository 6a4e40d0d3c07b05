#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/kernels/kmeans.hpp"

/// How kmeans starts, and the norms that it shares with its start.
namespace kvr::kernels {

/// ||x||^2.
float squared_norm(std::span<const float> x);

/// 1 / |x|, and 0 for the zero vector, so that its cosine with anything is 0.
float inverse_norm(std::span<const float> x);

/// function(row) of every row.
std::vector<float> map_rows(MatrixView<float> rows, float (*function)(std::span<const float>));

/// The rows that become the first centroids, by options.seeding. k-means++ may take equal rows twice where
/// there are fewer distinct ones than clusters.
std::vector<std::int64_t> choose_seeds(MatrixView<float> points, const KMeansOptions& options, Rng& rng);

}  // namespace kvr::kernels

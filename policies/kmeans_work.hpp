#pragma once

#include <cstdint>

#include "sim/interfaces/types.hpp"
#include "sim/kernels/kmeans.hpp"

namespace kvr {

/// What k-means of `points` fp16 vectors of `dimension` channels costs a phone that keeps the centroids in
/// float32. k-means++ reads all points once for each seed; random rows cost nothing worth counting. An
/// iteration reads the points once to assign (a product for each centroid) and once to average.
inline Work kmeans_work(std::int64_t points, std::int64_t dimension, std::int64_t clusters,
                        kernels::Seeding seeding, int iterations) {
  const auto elements = static_cast<double>(points * dimension);
  const auto k = static_cast<double>(clusters);
  const auto d = static_cast<double>(dimension);
  const Work plus_plus = {3.0 * k * elements, 2.0 * k * elements};
  const Work iteration = {2.0 * k * elements + elements, 2.0 * 2.0 * elements + 2.0 * 4.0 * k * d};
  return (seeding == kernels::Seeding::kPlusPlus ? plus_plus : Work{}) +
         static_cast<double>(iterations) * iteration;
}

/// To find the nearest of `clusters` centroids in fp16: a difference, a product and a sum for each element;
/// the cosine needs the centroids' norms as well.
inline Work nearest_work(std::int64_t clusters, std::int64_t dimension, kernels::Metric metric) {
  const auto elements = static_cast<double>(clusters * dimension);
  return {(metric == kernels::Metric::kL2 ? 3.0 : 4.0) * elements, 2.0 * elements};
}

}  // namespace kvr

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"

/// What one would write without sim/kernels: the peers that its kernels are measured against. Shapes and
/// results are those of the kernels; where a kernel reads fp16, its peer is given float copies instead.
namespace kvr::bench {

/// "Eigen 3.4.0 with SSE, SSE2": the peers get the instruction sets that the build allows, not this CPU's.
std::string eigen_build();

/// queries: [group, d]; keys: [n, d]; values: [n, dv]; out: [group, dv]. Two GEMMs around a softmax.
void eigen_attend_all(MatrixView<float> queries, MatrixView<float> keys, MatrixView<float> values,
                      float scale, MatrixRef<float> out);

/// The same of the rows named by `entries`, which are gathered first.
void eigen_attend_selected(MatrixView<float> queries, MatrixView<float> keys, MatrixView<float> values,
                           std::span<const std::int32_t> entries, float scale, MatrixRef<float> out);

/// out = queries . rows^T. queries: [group, d]; rows: [n, d]; out: [group, n].
void eigen_dot_rows(MatrixView<float> queries, MatrixView<float> rows, MatrixRef<float> out);

/// std::nth_element on indices, then std::sort of the k first.
std::vector<std::int32_t> nth_element_top_k(std::span<const float> scores, std::size_t k);

/// Lloyd's iterations by blocks of a GEMM and a maximum per row; empty clusters keep their centroid. Returns
/// the inertia by the last means. points: [n, d]; initial: [k, d].
double eigen_kmeans(MatrixView<float> points, MatrixView<float> initial, int iterations);

void eigen_to_float(std::span<const Half> from, std::span<float> to);

/// Welford's update as it stands in textbooks.
class PlainVariance {
 public:
  explicit PlainVariance(std::int64_t dimension) : mean_(static_cast<std::size_t>(dimension)) {}

  void add(std::span<const float> x);
  double variance() const { return m2_ / static_cast<double>(count_); }

 private:
  std::int64_t count_ = 0;
  std::vector<double> mean_;
  double m2_ = 0.0;
};

}  // namespace kvr::bench

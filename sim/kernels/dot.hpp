#pragma once

#include <span>

#include "sim/base/half.hpp"
#include "sim/base/matrix.hpp"

namespace kvr::kernels {

/// Sum of a[i] * b[i] in float, by kLanes partial sums that are folded in halves. Same length.
float dot(std::span<const float> a, std::span<const float> b);
float dot(std::span<const float> q, std::span<const Half> k);

/// ||a - b||^2, exactly 0 for equal vectors. Same length.
float squared_distance(std::span<const float> a, std::span<const float> b);

/// out[j][i] = queries[j] . rows[i], each with the bits that `dot` would give.
/// queries: [group, d]; rows: [n, d]; out: [group, n]. Rows are read once for the whole group, because
/// reading them is what costs.
void dot_rows(MatrixView<float> queries, MatrixView<float> rows, MatrixRef<float> out);
void dot_rows(MatrixView<float> queries, MatrixView<Half> rows, MatrixRef<float> out);

/// out[i] = ||x - rows[i]||^2. x: [d]; rows: [n, d]; out: [n].
void squared_distance_rows(std::span<const float> x, MatrixView<float> rows, std::span<float> out);

/// out = a . b, a sum in ascending order of k. a: [m, k]; b: [k, n]; out: [m, n], overwritten.
void multiply(MatrixView<float> a, MatrixView<float> b, MatrixRef<float> out);

/// y += weight * x. Same length.
void add_scaled(float weight, std::span<const float> x, std::span<float> y);

}  // namespace kvr::kernels

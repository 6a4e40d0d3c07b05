// for four rows at a time, for each query:
//   sums[row][lane] = 0
//   for each run of kLanes channels: sums[row][lane] += query[lane] * row[lane]
//   the last, shorter run: the same on copies padded with zeros
//   out[row] = fold of its sums
#include "sim/kernels/dot.hpp"

#include <algorithm>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/kernels/lanes.hpp"

namespace kvr::kernels {
namespace {

constexpr int kRowsAtOnce = 4;
constexpr int kTileColumns = 32;
/// Rows converted to float at a time: 32 rows of 128 channels are 16 KiB, half of a small L1 cache.
constexpr std::int64_t kConvertedRows = 32;
/// Rows asked of the caches while as many are worked on, where each row is read once: 8 rows of 128 floats
/// are 4 KiB. Measured on 540 rows in DRAM, one Zen 3 core: 29 us, with 16 rows 36 us, 32 rows 41 us, without
/// 48 us.
constexpr std::int64_t kPrefetchedRows = 8;

struct Product {
  [[gnu::always_inline]] static float term(float a, float b) { return a * b; }
  [[gnu::always_inline]] static void add(const lanes::VectorInFloats& a, const lanes::VectorInFloats& b,
                                         lanes::Vector& sum) {
    sum += a * b;
  }
};

struct SquaredDifference {
  [[gnu::always_inline]] static float term(float a, float b) { return (a - b) * (a - b); }
  [[gnu::always_inline]] static void add(const lanes::VectorInFloats& a, const lanes::VectorInFloats& b,
                                         lanes::Vector& sum) {
    sum += (a - b) * (a - b);
  }
};

template <class Term>
[[gnu::always_inline]] inline float reduce(const float* a, const float* b, std::int64_t d) {
  float sums[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= d; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] += Term::term(a[i + lane], b[i + lane]);
    }
  }
  for (int lane = 0; lane < d - i; ++lane) {
    sums[lane] += Term::term(a[i + lane], b[i + lane]);
  }
  return lanes::fold(sums);
}

/// The last d - first channels of four rows, fewer than kLanes, added to their sums by copies padded with
/// zeros.
template <class Term>
[[gnu::always_inline]] inline void reduce_tails(const float* query, const float* rows, std::int64_t stride,
                                                std::int64_t first, std::int64_t d,
                                                float (&sums)[kRowsAtOnce][kLanes]) {
  float query_tail[kLanes] = {};
  std::copy(query + first, query + d, query_tail);
  for (int row = 0; row < kRowsAtOnce; ++row) {
    float row_tail[kLanes] = {};
    std::copy(rows + row * stride + first, rows + row * stride + d, row_tail);
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[row][lane] += Term::term(query_tail[lane], row_tail[lane]);
    }
  }
}

template <class Term>
[[gnu::always_inline]] inline void reduce_four(const float* query, const float* rows, std::int64_t stride,
                                               std::int64_t d, float* out) {
  const std::int64_t whole = d - d % kLanes;
  lanes::Vector registers[kRowsAtOnce][lanes::kVectors] = {};
  for (std::int64_t i = 0; i < whole; i += kLanes) {
    for (int part = 0; part < lanes::kVectors; ++part) {
      const std::int64_t channel = i + part * lanes::kVectorLanes;
      for (int row = 0; row < kRowsAtOnce; ++row) {
        Term::add(lanes::at(query + channel), lanes::at(rows + row * stride + channel), registers[row][part]);
      }
    }
  }
  if (whole == d) {
    lanes::fold_rows(registers, out);
    return;
  }
  float sums[kRowsAtOnce][kLanes];
  for (int row = 0; row < kRowsAtOnce; ++row) {
    for (int part = 0; part < lanes::kVectors; ++part) {
      lanes::at(sums[row] + part * lanes::kVectorLanes) = registers[row][part];
    }
  }
  reduce_tails<Term>(query, rows, stride, whole, d, sums);
  lanes::fold_rows(sums, out);
}

template <class Term>
[[gnu::always_inline]] inline void reduce_rows(const float* query, const float* rows, std::int64_t stride,
                                               std::int64_t n, std::int64_t d, float* out) {
  std::int64_t i = 0;
  for (; i + kRowsAtOnce <= n; i += kRowsAtOnce) {
    reduce_four<Term>(query, rows + i * stride, stride, d, out + i);
  }
  for (; i < n; ++i) {
    out[i] = reduce<Term>(query, rows + i * stride, d);
  }
}

/// `count` rows from `first` on, as far as there are any.
MatrixView<float> rows_within(MatrixView<float> rows, std::int64_t first, std::int64_t count) {
  const std::int64_t begin = std::min(first, rows.rows);
  return rows.slice(begin, std::min(count, rows.rows - begin));
}

void check_dot_shapes(std::int64_t group, std::int64_t query_dim, std::int64_t n, std::int64_t row_dim,
                      MatrixRef<float> out) {
  KVR_CHECK(query_dim == row_dim, "dimensions {} and {}", query_dim, row_dim);
  KVR_CHECK(out.rows == group && out.cols == n, "output [{}, {}] for [{}, {}]", out.rows, out.cols, group, n);
}

}  // namespace

namespace detail {

KVR_DISPATCHED float dot(const float* a, const float* b, std::int64_t d) {
  return reduce<Product>(a, b, d);
}

KVR_DISPATCHED float squared_distance(const float* a, const float* b, std::int64_t d) {
  return reduce<SquaredDifference>(a, b, d);
}

KVR_DISPATCHED void dot_rows(const float* query, const float* rows, std::int64_t stride, std::int64_t n,
                             std::int64_t d, float* out) {
  reduce_rows<Product>(query, rows, stride, n, d, out);
}

KVR_DISPATCHED void squared_distance_rows(const float* x, const float* rows, std::int64_t stride,
                                          std::int64_t n, std::int64_t d, float* out) {
  reduce_rows<SquaredDifference>(x, rows, stride, n, d, out);
}

KVR_DISPATCHED void add_scaled(float weight, const float* __restrict__ x, float* __restrict__ y,
                               std::int64_t d) {
  for (std::int64_t i = 0; i < d; ++i) {
    y[i] += weight * x[i];
  }
}

/// Four rows of a by kTileColumns columns of b, all sums in registers. a: [4, k]; b: [k, kTileColumns].
KVR_DISPATCHED void multiply_tile(const float* a, std::int64_t a_stride, const float* b,
                                  std::int64_t b_stride, std::int64_t depth, float* out,
                                  std::int64_t out_stride) {
  float sums[kRowsAtOnce][kTileColumns] = {};
  for (std::int64_t i = 0; i < depth; ++i) {
    const float* column = b + i * b_stride;
    for (int row = 0; row < kRowsAtOnce; ++row) {
      const float factor = a[row * a_stride + i];
      for (int lane = 0; lane < kTileColumns; ++lane) {
        sums[row][lane] += factor * column[lane];
      }
    }
  }
  for (int row = 0; row < kRowsAtOnce; ++row) {
    for (int lane = 0; lane < kTileColumns; ++lane) {
      out[row * out_stride + lane] = sums[row][lane];
    }
  }
}

/// What does not fill a tile; the same additions in the same order.
KVR_DISPATCHED void multiply_row(const float* a, const float* __restrict__ b, std::int64_t b_stride,
                                 std::int64_t depth, std::int64_t columns, float* __restrict__ out) {
  std::fill(out, out + columns, 0.0F);
  for (std::int64_t i = 0; i < depth; ++i) {
    for (std::int64_t column = 0; column < columns; ++column) {
      out[column] += a[i] * b[i * b_stride + column];
    }
  }
}

}  // namespace detail

float dot(std::span<const float> a, std::span<const float> b) {
  KVR_CHECK(a.size() == b.size(), "lengths {} and {}", a.size(), b.size());
  return detail::dot(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
}

float dot(std::span<const float> q, std::span<const Half> k) {
  std::vector<float> converted(k.size());
  to_float(k, converted);
  return dot(q, converted);
}

float squared_distance(std::span<const float> a, std::span<const float> b) {
  KVR_CHECK(a.size() == b.size(), "lengths {} and {}", a.size(), b.size());
  return detail::squared_distance(a.data(), b.data(), static_cast<std::int64_t>(a.size()));
}

void dot_rows(MatrixView<float> queries, MatrixView<float> rows, MatrixRef<float> out) {
  check_dot_shapes(queries.rows, queries.cols, rows.rows, rows.cols, out);
  const std::int64_t share = queries.rows > 0 ? (kConvertedRows + queries.rows - 1) / queries.rows : 0;
  for (std::int64_t first = 0; first < rows.rows; first += kConvertedRows) {
    const std::int64_t count = std::min(kConvertedRows, rows.rows - first);
    for (std::int64_t j = 0; j < queries.rows; ++j) {
      // The next rows in equal shares: more requests at once than a core keeps in flight would stall it.
      prefetch_rows(rows_within(rows, first + count + j * share, share));
      detail::dot_rows(queries.row_data(j), rows.row_data(first), rows.stride, count, rows.cols,
                       out.row_data(j) + first);
    }
  }
}

void dot_rows(MatrixView<float> queries, MatrixView<Half> rows, MatrixRef<float> out) {
  check_dot_shapes(queries.rows, queries.cols, rows.rows, rows.cols, out);
  std::vector<float> converted(static_cast<std::size_t>(std::min(kConvertedRows, rows.rows) * rows.cols));
  for (std::int64_t first = 0; first < rows.rows; first += kConvertedRows) {
    const std::int64_t count = std::min(kConvertedRows, rows.rows - first);
    to_float(rows.slice(first, count), matrix_ref(converted.data(), count, rows.cols));
    for (std::int64_t j = 0; j < queries.rows; ++j) {
      detail::dot_rows(queries.row_data(j), converted.data(), rows.cols, count, rows.cols,
                       out.row_data(j) + first);
    }
  }
}

void squared_distance_rows(std::span<const float> x, MatrixView<float> rows, std::span<float> out) {
  const auto d = static_cast<std::int64_t>(x.size());
  KVR_CHECK(d == rows.cols, "dimensions {} and {}", d, rows.cols);
  KVR_CHECK(static_cast<std::int64_t>(out.size()) == rows.rows, "output {} for {}", out.size(), rows.rows);
  for (std::int64_t first = 0; first < rows.rows; first += kPrefetchedRows) {
    const std::int64_t count = std::min(kPrefetchedRows, rows.rows - first);
    prefetch_rows(rows_within(rows, first + count, kPrefetchedRows));
    detail::squared_distance_rows(x.data(), rows.row_data(first), rows.stride, count, d, out.data() + first);
  }
}

void multiply(MatrixView<float> a, MatrixView<float> b, MatrixRef<float> out) {
  KVR_CHECK(a.cols == b.rows, "inner dimensions {} and {}", a.cols, b.rows);
  KVR_CHECK(out.rows == a.rows && out.cols == b.cols, "output [{}, {}] for [{}, {}]", out.rows, out.cols,
            a.rows, b.cols);
  const std::int64_t tiled_rows = a.rows - a.rows % kRowsAtOnce;
  const std::int64_t tiled_columns = b.cols - b.cols % kTileColumns;
  for (std::int64_t column = 0; column < tiled_columns; column += kTileColumns) {
    for (std::int64_t row = 0; row < tiled_rows; row += kRowsAtOnce) {
      detail::multiply_tile(a.row_data(row), a.stride, b.data + column, b.stride, a.cols,
                            out.row_data(row) + column, out.stride);
    }
  }
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const std::int64_t first = row < tiled_rows ? tiled_columns : 0;
    if (first < b.cols) {
      detail::multiply_row(a.row_data(row), b.data + first, b.stride, a.cols, b.cols - first,
                           out.row_data(row) + first);
    }
  }
}

void add_scaled(float weight, std::span<const float> x, std::span<float> y) {
  KVR_CHECK(x.size() == y.size(), "lengths {} and {}", x.size(), y.size());
  detail::add_scaled(weight, x.data(), y.data(), static_cast<std::int64_t>(x.size()));
}

}  // namespace kvr::kernels

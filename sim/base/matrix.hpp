#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace kvr {

/// Rows of equal length somewhere in memory, not owned: row i starts at `data + i * stride` (in elements).
/// `stride >= cols`, so that a view can be some heads or channels of a wider array.
template <class T>
struct MatrixView {
  const T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  const T* row_data(std::int64_t i) const { return data + i * stride; }
  std::span<const T> row(std::int64_t i) const { return {row_data(i), static_cast<std::size_t>(cols)}; }
  MatrixView slice(std::int64_t first, std::int64_t count) const {
    return {row_data(first), count, cols, stride};
  }
};

/// As MatrixView, for results.
template <class T>
struct MatrixRef {
  T* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::int64_t stride = 0;

  T* row_data(std::int64_t i) const { return data + i * stride; }
  std::span<T> row(std::int64_t i) const { return {row_data(i), static_cast<std::size_t>(cols)}; }
  MatrixView<T> view() const { return {data, rows, cols, stride}; }
};

/// `rows` rows of `cols` elements without gaps, beginning at `data`.
template <class T>
MatrixView<T> matrix_view(const T* data, std::int64_t rows, std::int64_t cols) {
  return {data, rows, cols, cols};
}

template <class T>
MatrixRef<T> matrix_ref(T* data, std::int64_t rows, std::int64_t cols) {
  return {data, rows, cols, cols};
}

/// Asks the caches for rows that will be read soon, while the CPU works on others. No effect on results.
template <class T>
void prefetch_rows(MatrixView<T> rows) {
  constexpr std::int64_t kCacheLineBytes = 64;
  const std::int64_t row_bytes = rows.cols * static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t i = 0; i < rows.rows; ++i) {
    const char* row = reinterpret_cast<const char*>(rows.row_data(i));
    for (std::int64_t byte = 0; byte < row_bytes; byte += kCacheLineBytes) {
      __builtin_prefetch(row + byte);
    }
  }
}

/// One row.
template <class T>
MatrixView<T> row_view(std::span<const T> row) {
  const auto cols = static_cast<std::int64_t>(row.size());
  return {row.data(), 1, cols, cols};
}

template <class T>
MatrixRef<T> row_ref(std::span<T> row) {
  const auto cols = static_cast<std::int64_t>(row.size());
  return {row.data(), 1, cols, cols};
}

}  // namespace kvr

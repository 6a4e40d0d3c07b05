#include "sim/kernels/reference_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "sim/base/convert.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr::kernels {
namespace {

/// row += sign / n * (sum of `references`), in their order.
void add_share(MatrixView<float> references, float sign, std::span<float> row) {
  for (std::int64_t i = 0; i < references.rows; ++i) {
    add_scaled(sign / static_cast<float>(references.rows), references.row(i), row);
  }
}

}  // namespace

bool ReferenceGrid::contains(EntryIndex entry) const {
  if (entry < sinks) {
    return true;
  }
  if (growth <= 0.0) {
    return (entry - sinks) % stride == 0;
  }
  std::int64_t place = sinks;
  while (place < entry) {
    place += stride + static_cast<std::int64_t>(std::floor(growth * static_cast<double>(place)));
  }
  return place == entry;
}

void ReferenceSearch::add(EntryIndex entry, std::span<const float> row) {
  entries_.push_back(entry);
  rows_.insert(rows_.end(), row.begin(), row.end());
}

std::vector<EntryIndex> ReferenceSearch::nearest(std::span<const float> row, std::int64_t count,
                                                 const EntrySet& live) const {
  std::vector<float> distances(entries_.size());
  squared_distance_rows(row, matrix_view<float>(rows_.data(), size(), width_), distances);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (live.contains(entries_[i])) {
      order.push_back(i);
    }
  }
  const auto wanted = std::min(static_cast<std::ptrdiff_t>(count), std::ssize(order));
  std::partial_sort(order.begin(), order.begin() + wanted, order.end(), [&](std::size_t a, std::size_t b) {
    return distances[a] != distances[b] ? distances[a] < distances[b] : a < b;
  });
  std::vector<EntryIndex> nearest;
  for (std::ptrdiff_t i = 0; i < wanted; ++i) {
    nearest.push_back(entries_[order[static_cast<std::size_t>(i)]]);
  }
  return nearest;
}

void subtract_mean(MatrixView<float> references, std::span<float> row) {
  add_share(references, -1.0F, row);
}

void add_mean(MatrixView<float> references, std::span<float> row) {
  add_share(references, 1.0F, row);
}

void add_residuals(MatrixView<Half> rows, const EntrySet& live, const ReferenceGrid& grid, std::int64_t count,
                   RowProducts& products) {
  ReferenceSearch search(rows.cols);
  std::vector<float> row(static_cast<std::size_t>(rows.cols));
  live.for_each([&](EntryIndex entry) {
    to_float(rows.row(entry), row);
    if (grid.contains(entry)) {
      search.add(entry, row);
      return;
    }
    const std::vector<EntryIndex> nearest = search.nearest(row, count, live);
    std::vector<float> references(nearest.size() * row.size());
    const auto decoded = matrix_ref<float>(references.data(), std::ssize(nearest), rows.cols);
    for (std::int64_t i = 0; i < decoded.rows; ++i) {
      to_float(rows.row(nearest[static_cast<std::size_t>(i)]), decoded.row(i));
    }
    subtract_mean(decoded.view(), row);
    products.add(matrix_view<float>(row.data(), 1, rows.cols));
  });
}

}  // namespace kvr::kernels

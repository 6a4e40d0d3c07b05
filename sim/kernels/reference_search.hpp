#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/matrix.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/types.hpp"
#include "sim/kernels/principal_directions.hpp"

namespace kvr::kernels {

/// Which entries others may be stored in terms of, by place alone: the first `sinks`, then from entry `sinks`
/// on one in `stride + floor(growth * place)`, the place being that of the one before.
struct ReferenceGrid {
  std::int64_t sinks = 0;
  std::int64_t stride = 1;  ///< at least 1
  double growth = 0.0;      ///< not negative

  bool contains(EntryIndex entry) const;
};

/// The rows of references, and which of them are nearest to a row.
class ReferenceSearch {
 public:
  explicit ReferenceSearch(std::int64_t width) : width_(width) {}

  /// Ascending, each once.
  void add(EntryIndex entry, std::span<const float> row);
  std::int64_t size() const { return std::ssize(entries_); }
  /// The next that `add` may take.
  EntryIndex end() const { return entries_.empty() ? 0 : entries_.back() + 1; }
  /// At most `count` of those that are live, by ||row - reference||, ties to the lower entry; nearest first.
  std::vector<EntryIndex> nearest(std::span<const float> row, std::int64_t count, const EntrySet& live) const;

 private:
  std::int64_t width_;
  std::vector<EntryIndex> entries_;
  std::vector<float> rows_;  ///< [entries, width]
};

/// What is left of `row` beside the mean of `references` [n, width]; all of it where there are none.
void subtract_mean(MatrixView<float> references, std::span<float> row);
void add_mean(MatrixView<float> references, std::span<float> row);

/// Adds to `products` the rows of `live` that are no references themselves, less the mean of the `count`
/// nearest references before each: what a pair of linear maps that codes such residuals is best fitted to.
void add_residuals(MatrixView<Half> rows, const EntrySet& live, const ReferenceGrid& grid, std::int64_t count,
                   RowProducts& products);

}  // namespace kvr::kernels

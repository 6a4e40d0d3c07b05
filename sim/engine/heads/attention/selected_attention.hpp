#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/scorer.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Attention of the query heads of a group, over what each attends to.
class SelectedAttention {
 public:
  SelectedAttention(std::int64_t group, std::int64_t head_dim, float scale);

  /// Consecutive query heads attend to the same `entries` of `view`, as far as there are. Throws
  /// InternalError where one of them is there twice. `queries` [group, head_dim].
  void attend(const MatrixView<float>& queries, std::int64_t first_query, std::int64_t count,
              const HeadView& view, std::span<const EntryIndex> entries);

  /// Adds to what `query` attended to: `values` is the mean of more of them, by weights with that normaliser.
  void merge(std::int64_t query, std::span<const float> values, const PartialSoftmax& more);

  // Of the last call:

  std::span<const EntryIndex> entries() const { return entries_; }
  /// [entries of the view]: 1 for those attended to.
  std::span<const std::uint8_t> marked() const { return marked_; }
  /// The softmax of one of its query heads over its entries and what was merged, of which the entries; valid
  /// until the next call.
  std::span<const float> weights(const MatrixView<float>& queries, std::int64_t query, const HeadView& view);

  /// [head_dim], of the last call for the query head.
  std::span<const float> out(std::int64_t query) const;

 private:
  void mark();

  std::int64_t head_dim_;
  float scale_;
  std::vector<EntryIndex> entries_;
  std::vector<std::uint8_t> marked_;
  std::vector<float> out_;           ///< [group, head_dim]
  std::vector<PartialSoftmax> own_;  ///< [group]: of the entries
  std::vector<double> shares_;       ///< [group]: of the entries in all, 1 where nothing was merged
  std::vector<Half> keys_;           ///< of the entries, scratch
  std::vector<float> weights_;       ///< scratch
};

}  // namespace kvr

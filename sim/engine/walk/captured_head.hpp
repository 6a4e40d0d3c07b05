#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// K and V of one head as captured, in the order in which they come in.
class CapturedHead {
 public:
  /// Memory is taken once, for `capacity` entries, so views stay valid while entries come in.
  CapturedHead(std::int64_t capacity, std::int64_t head_dim);

  /// Appends rows: `keys` and `values` [n, head_dim].
  void append(std::span<const Half> keys, std::span<const Half> values);
  std::int64_t entries() const { return entries_; }
  std::int64_t capacity() const { return capacity_; }
  std::int64_t head_dim() const { return head_dim_; }
  /// The first `count` entries.
  HeadView view(std::int64_t count) const;

 private:
  std::int64_t capacity_;
  std::int64_t head_dim_;
  std::int64_t entries_ = 0;
  std::vector<Half> keys_;
  std::vector<Half> values_;
};

}  // namespace kvr

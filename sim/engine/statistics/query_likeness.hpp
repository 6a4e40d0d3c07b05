#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "sim/base/half.hpp"

namespace kvr {

/// How alike the queries of one KV head are to those of some steps before, as they meet the keys.
class QueryLikeness {
 public:
  /// Steps between the two: neighbours, which policies take for alike, and, to hold that against, others.
  static constexpr std::array<std::int64_t, 3> kLags = {1, 8, 64};

  QueryLikeness(std::int64_t group, std::int64_t head_dim) : group_(group), head_dim_(head_dim) {}

  /// Queries of the next step, [group, head_dim].
  void observe(std::span<const Half> queries);
  /// Cosine of each query to that of its query head `kLags[lag]` steps before, mean over steps and query
  /// heads; NaN where there are none. A query without length is like no other.
  double cosine(std::size_t lag) const;

 private:
  std::int64_t group_;
  std::int64_t head_dim_;
  std::deque<std::vector<float>> last_;  ///< of the last steps, oldest first; each query of length 1 or 0
  std::array<double, kLags.size()> sums_{};
  std::array<std::int64_t, kLags.size()> counts_{};
};

}  // namespace kvr

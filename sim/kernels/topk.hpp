#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace kvr::kernels {

/// The one order of candidates everywhere: higher score first, equal scores by lower index; -0 equals +0.
/// Scores are never NaN (contract, not checked: the kernels are the inner loop).

/// The min(k, n) best of `scores` [n], best first, as indices in `out`. k >= 0. O(n + k log k).
void top_k(std::span<const float> scores, std::int64_t k, std::vector<std::int32_t>& out);

/// The fewest of `weights` [n], none negative, that sum to `share` (0 to 1) of all: their indices in `out`,
/// in no order. O(n), and a sort of those near the lightest of them.
void heaviest(std::span<const float> weights, double share, std::vector<std::int32_t>& out);

/// Candidates best first for callers that stop when a budget is full and cannot say k beforehand.
/// Sorts a prefix that grows fourfold when it is used up, so that taking m of n costs about O(n + m log m).
class LazyRanking {
 public:
  /// `scores` [n] is not needed afterwards.
  explicit LazyRanking(std::span<const float> scores);

  bool done() const { return taken_ == keys_.size(); }
  /// The best index not yet given out; not done().
  std::int32_t next();

 private:
  void sort_more();

  std::vector<std::uint64_t> keys_;
  std::size_t sorted_ = 0;
  std::size_t taken_ = 0;
};

}  // namespace kvr::kernels

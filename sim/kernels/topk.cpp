// A candidate is one 64-bit key: the score, mapped so that unsigned order is float order, above the inverted
// index. Greater key = better candidate, and no two keys are equal.
//
// top_k:  keep a pool of candidates and the key that the k-th best must beat
//         for each candidate better than that: add it to the pool
//           when the pool is full (2k or more): cut it to its k best, raise the bar to the worst of them
//         sort what is left
// Each cut is linear in the pool and frees half of it, so the whole is linear in n for any order of scores.
#include "sim/kernels/topk.hpp"

#include <algorithm>
#include <bit>
#include <functional>

#include "sim/base/error.hpp"

namespace kvr::kernels {
namespace {

constexpr std::size_t kSmallestPool = 256;
constexpr std::size_t kFirstPrefix = 64;
constexpr std::size_t kPrefixGrowth = 4;

std::uint32_t ordered_bits(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score + 0.0F);  // -0 becomes +0
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

std::uint64_t candidate_key(float score, std::size_t index) {
  return (std::uint64_t{ordered_bits(score)} << 32) |
         static_cast<std::uint32_t>(~static_cast<std::uint32_t>(index));
}

std::int32_t candidate_index(std::uint64_t key) {
  return static_cast<std::int32_t>(~static_cast<std::uint32_t>(key));
}

using KeyIterator = std::vector<std::uint64_t>::iterator;

/// The best `count` of [first, last) to the front, in order.
void sort_best(KeyIterator first, KeyIterator last, std::size_t count) {
  const KeyIterator middle = first + static_cast<std::ptrdiff_t>(count);
  if (middle != last) {
    std::nth_element(first, middle, last, std::greater<>());
  }
  std::sort(first, middle, std::greater<>());
}

/// Cuts the pool to its k best and returns the worst of them.
std::uint64_t cut_pool(std::vector<std::uint64_t>& pool, std::size_t k) {
  const KeyIterator worst = pool.begin() + static_cast<std::ptrdiff_t>(k - 1);
  std::nth_element(pool.begin(), worst, pool.end(), std::greater<>());
  pool.resize(k);
  return pool.back();
}

}  // namespace

void top_k(std::span<const float> scores, std::int64_t k, std::vector<std::int32_t>& out) {
  KVR_CHECK(k >= 0, "k = {}", k);
  out.clear();
  const std::size_t count = std::min(static_cast<std::size_t>(k), scores.size());
  if (count == 0) {
    return;
  }
  const std::size_t capacity = std::max(kSmallestPool, 2 * count);
  std::vector<std::uint64_t> pool;
  pool.reserve(std::min(capacity, scores.size()));
  std::uint64_t bar = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const std::uint64_t key = candidate_key(scores[i], i);
    if (key > bar) {
      pool.push_back(key);
      if (pool.size() == capacity) {
        bar = cut_pool(pool, count);
      }
    }
  }
  sort_best(pool.begin(), pool.end(), count);
  out.resize(count);
  std::transform(pool.begin(), pool.begin() + static_cast<std::ptrdiff_t>(count), out.begin(),
                 candidate_index);
}

LazyRanking::LazyRanking(std::span<const float> scores) {
  keys_.reserve(scores.size());
  for (std::size_t i = 0; i < scores.size(); ++i) {
    keys_.push_back(candidate_key(scores[i], i));
  }
}

std::int32_t LazyRanking::next() {
  KVR_CHECK(!done(), "all {} candidates are taken", keys_.size());
  if (taken_ == sorted_) {
    sort_more();
  }
  return candidate_index(keys_[taken_++]);
}

void LazyRanking::sort_more() {
  const std::size_t target = std::min(keys_.size(), std::max(kFirstPrefix, kPrefixGrowth * sorted_));
  sort_best(keys_.begin() + static_cast<std::ptrdiff_t>(sorted_), keys_.end(), target - sorted_);
  sorted_ = target;
}

}  // namespace kvr::kernels

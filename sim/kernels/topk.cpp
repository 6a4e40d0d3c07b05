// A candidate is one 64-bit key: the score, mapped so that unsigned order is float order, above the inverted
// index. Greater key = better candidate, and no two keys are equal.
//
// top_k:  keep a pool of candidates and the key that the k-th best must beat
//         for each candidate better than that: add it to the pool
//           when the pool is full (2k or more): cut it to its k best, raise the bar to the worst of them
//         sort what is left
// Each cut is linear in the pool and frees half of it, so the whole is linear in n for any order of scores.
//
// heaviest:  what weighs less than (1 - share) * all / n cannot be needed: together it has less than the rest
//            sum the rest by ranges of weight, which the leading bits of a float number
//            take whole ranges from the heaviest on; sort the one in which the share is reached
#include "sim/kernels/topk.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <numeric>

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

double sum_of(std::span<const float> weights) {
  constexpr std::size_t kSums = 8;  // that do not wait for one another
  std::array<double, kSums> sums{};
  std::size_t first = 0;
  for (; first + kSums <= weights.size(); first += kSums) {
    for (std::size_t i = 0; i < kSums; ++i) {
      sums[i] += static_cast<double>(weights[first + i]);
    }
  }
  for (; first < weights.size(); ++first) {
    sums[0] += static_cast<double>(weights[first]);
  }
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Sixteen for each power of two.
std::size_t range_of(float weight, float least) {
  constexpr int kBits = 19;
  return (std::bit_cast<std::uint32_t>(weight) >> kBits) - (std::bit_cast<std::uint32_t>(least) >> kBits);
}

}  // namespace

void heaviest(std::span<const float> weights, double share, std::vector<std::int32_t>& out) {
  out.clear();
  if (weights.empty()) {
    return;
  }
  const double all = sum_of(weights);
  // Rounded down twice, so that rounding leaves nothing out.
  const auto least =
      static_cast<float>(0.999 * std::max(0.0, 1.0 - share) * all / static_cast<double>(weights.size()));
  std::vector<std::int32_t> candidates(weights.size());
  std::size_t count = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    candidates[count] = static_cast<std::int32_t>(i);
    count += weights[i] >= least ? 1U : 0U;
  }
  candidates.resize(count);
  const auto weight_of = [&](std::int32_t index) { return weights[static_cast<std::size_t>(index)]; };
  // No weight is above the sum of all, and that rounded to a float is in the next range at most.
  std::vector<double> masses(range_of(static_cast<float>(all), least) + 2, 0.0);
  for (const std::int32_t candidate : candidates) {
    masses[range_of(weight_of(candidate), least)] += static_cast<double>(weight_of(candidate));
  }
  std::size_t border = masses.size() - 1;
  double left = share * all;
  while (border > 0 && masses[border] < left) {
    left -= masses[border--];
  }
  std::vector<std::uint64_t> keys;
  for (const std::int32_t candidate : candidates) {
    const std::size_t range = range_of(weight_of(candidate), least);
    if (range > border) {
      out.push_back(candidate);
    } else if (range == border) {
      keys.push_back(candidate_key(weight_of(candidate), static_cast<std::size_t>(candidate)));
    }
  }
  std::ranges::sort(keys, std::greater<>());
  for (std::size_t i = 0; i < keys.size() && left > 0.0; ++i) {
    out.push_back(candidate_index(keys[i]));
    left -= static_cast<double>(weight_of(out.back()));
  }
}

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

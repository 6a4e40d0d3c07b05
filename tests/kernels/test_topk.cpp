#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/kernels/topk.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

using Indices = std::vector<std::int32_t>;

Indices sorted_reference(const std::vector<float>& scores) {
  Indices order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return order;
}

Indices top(const std::vector<float>& scores, std::int64_t k) {
  Indices out{-1, -2};
  top_k(scores, k, out);
  return out;
}

Indices all_lazily(const std::vector<float>& scores) {
  Indices order;
  for (LazyRanking ranking(scores); !ranking.done();) {
    order.push_back(ranking.next());
  }
  return order;
}

/// Scores with many ties, of either sign.
std::vector<float> coarse_scores(Rng& rng, std::int64_t n) {
  std::vector<float> scores = test::random_floats(rng, n);
  for (float& score : scores) {
    score = std::round(score * 4.0F) / 4.0F;
  }
  return scores;
}

/// The least prefix of a whole sort that has the share.
Indices heaviest_reference(const std::vector<float>& weights, double share) {
  const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
  Indices taken;
  double mass = 0.0;
  for (const std::int32_t index : sorted_reference(weights)) {
    if (mass >= share * all) {
      break;
    }
    taken.push_back(index);
    mass += static_cast<double>(weights[static_cast<std::size_t>(index)]);
  }
  std::ranges::sort(taken);
  return taken;
}

Indices heaviest_of(const std::vector<float>& weights, double share) {
  Indices out{-1, -2};
  heaviest(weights, share, out);
  std::ranges::sort(out);
  return out;
}

TEST_CASE("the heaviest by hand: fewest that reach the share, ties to the lower index") {
  CHECK(heaviest_of({0.5F, 0.25F, 0.125F, 0.125F}, 0.75) == Indices{0, 1});
  CHECK(heaviest_of({0.5F, 0.25F, 0.125F, 0.125F}, 0.76) == Indices{0, 1, 2});
  CHECK(heaviest_of({0.25F, 0.25F, 0.25F, 0.25F}, 0.5) == Indices{0, 1});
  CHECK(heaviest_of({0.0F, 1.0F, 0.0F}, 1.0) == Indices{1});
  CHECK(heaviest_of({}, 0.5).empty());
  CHECK(heaviest_of({0.0F, 0.0F}, 0.5).empty());
}

TEST_CASE("the heaviest are those that a whole sort finds") {
  Rng rng = Rng::stream(20261130, "heaviest");
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::vector<float> weights = test::random_floats(rng, 1 + round * 7);
    for (float& weight : weights) {  // skewed as attention is, with ties
      weight = std::exp(std::round(weight * 8.0F * static_cast<float>(round % 5)) / 2.0F);
    }
    for (const double share : {0.1, 0.5, 0.95, 0.999}) {
      REQUIRE(heaviest_of(weights, share) == heaviest_reference(weights, share));
    }
  }
}

TEST_CASE("top_k by hand: best first, ties to the lower index") {
  CHECK(top({1.0F, 3.0F, 3.0F, -2.0F, 5.0F}, 3) == Indices{4, 1, 2});
  CHECK(top({7.0F, 7.0F, 7.0F, 7.0F}, 2) == Indices{0, 1});
  CHECK(top({-0.0F, 0.0F}, 2) == Indices{0, 1});
}

TEST_CASE("top_k of nothing, none, one and more than there are") {
  CHECK(top({}, 5).empty());
  CHECK(top({1.0F, 2.0F}, 0).empty());
  CHECK(top({4.0F}, 1) == Indices{0});
  CHECK(top({1.0F, 2.0F}, 9) == Indices{1, 0});
  CHECK_THROWS_AS(top({1.0F}, -1), InternalError);
}

TEST_CASE("infinities and the largest floats take their places") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  CHECK(top({-kInfinity, kMax, kInfinity, -kMax, 0.0F}, 5) == Indices{2, 1, 4, 3, 0});
}

TEST_CASE("top_k and LazyRanking agree with a stable sort, ties and all") {
  const std::uint64_t seed = 17;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t n : {1, 2, 63, 64, 65, 255, 256, 257, 1000, 5000}) {
    CAPTURE(n);
    const std::vector<float> scores = coarse_scores(rng, n);
    const Indices reference = sorted_reference(scores);
    CHECK(all_lazily(scores) == reference);
    for (const std::int64_t k : {std::int64_t{1}, std::int64_t{7}, std::int64_t{130}, n / 2, n - 1, n}) {
      CAPTURE(k);
      const std::int64_t kept = std::min(n, k);
      CHECK(top(scores, k) == Indices(reference.begin(), reference.begin() + kept));
    }
  }
}

TEST_CASE("scores in ascending order, the worst case of the pool, and all equal ones") {
  std::vector<float> ascending(10000);
  std::iota(ascending.begin(), ascending.end(), -5000.0F);
  CHECK(top(ascending, 3) == Indices{9999, 9998, 9997});
  Indices first(300);
  std::iota(first.begin(), first.end(), 0);
  CHECK(top(std::vector<float>(10000, -1.5F), 300) == first);
}

TEST_CASE("LazyRanking of nothing is done, and taking beyond the end is an internal error") {
  LazyRanking none({});
  CHECK(none.done());
  CHECK_THROWS_AS(none.next(), InternalError);
}

}  // namespace
}  // namespace kvr::kernels

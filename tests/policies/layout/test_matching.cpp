// Matching against all matchings there are, pairs and their order by hand.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>

#include "policies/layout/placing/matching.hpp"
#include "policies/layout/placing/pairing.hpp"
#include "sim/base/rng.hpp"

namespace kvr {
namespace {

using Weights = std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t>;

/// The largest weight of a matching of the vertices that are not in `used`, by trying all.
std::int64_t best_weight(std::int32_t vertices, const Weights& weights, std::uint32_t used) {
  std::int32_t first = 0;
  while (first < vertices && (used >> static_cast<std::uint32_t>(first) & 1U) != 0) {
    ++first;
  }
  if (first == vertices) {
    return 0;
  }
  const auto with = [&](std::int32_t vertex) { return used | 1U << static_cast<std::uint32_t>(vertex); };
  std::int64_t best = best_weight(vertices, weights, with(first));
  for (const auto& [edge, weight] : weights) {
    if (edge.first == first && (used >> static_cast<std::uint32_t>(edge.second) & 1U) == 0) {
      best =
          std::max(best, weight + best_weight(vertices, weights,
                                              with(first) | 1U << static_cast<std::uint32_t>(edge.second)));
    }
  }
  return best;
}

/// Weight of a matching, which must be one.
std::int64_t weight_of(const std::vector<std::int32_t>& partners, const Weights& weights) {
  std::int64_t twice = 0;
  for (std::int32_t vertex = 0; vertex < std::ssize(partners); ++vertex) {
    const std::int32_t partner = partners[static_cast<std::size_t>(vertex)];
    if (partner >= 0) {
      REQUIRE(partners[static_cast<std::size_t>(partner)] == vertex);
      REQUIRE(weights.contains(std::minmax(vertex, partner)));
      twice += weights.at(std::minmax(vertex, partner));
    }
  }
  return twice / 2;
}

Weights random_graph(std::int32_t vertices, Rng& rng) {
  constexpr std::array<std::uint64_t, 4> kHeaviest = {1, 3, 10, 1000};
  const std::uint64_t heaviest = kHeaviest[rng.below(4)];
  const std::uint64_t density = 1 + rng.below(4);
  Weights weights;
  for (std::int32_t a = 0; a < vertices; ++a) {
    for (std::int32_t b = a + 1; b < vertices; ++b) {
      if (rng.below(4) < density) {
        weights[{a, b}] = static_cast<std::int64_t>(1 + rng.below(heaviest));
      }
    }
  }
  return weights;
}

TEST_CASE("matching: as heavy as the best of all matchings, on 3,000 random graphs; greedy at least half") {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto vertices = static_cast<std::int32_t>(1 + rng.below(10));
    const Weights weights = random_graph(vertices, rng);
    std::vector<WeightedEdge> edges;
    for (const auto& [edge, weight] : weights) {
      edges.push_back({edge.first, edge.second, weight});
    }
    const std::int64_t best = best_weight(vertices, weights, 0);
    REQUIRE(weight_of(maximum_weight_matching(vertices, edges), weights) == best);
    const std::int64_t greedy = weight_of(greedy_matching(vertices, edges), weights);
    REQUIRE(greedy <= best);
    REQUIRE(2 * greedy >= best);
  }
}

TEST_CASE("matching: one edge of weight 3 loses to two of weight 2 beside it") {
  const std::vector<WeightedEdge> path = {{0, 1, 2}, {1, 2, 3}, {2, 3, 2}};
  CHECK(maximum_weight_matching(4, path) == std::vector<std::int32_t>{1, 0, 3, 2});
  CHECK(greedy_matching(4, path) == std::vector<std::int32_t>{-1, 2, 1, -1});
  CHECK(maximum_weight_matching(3, {}) == std::vector<std::int32_t>{-1, -1, -1});
}

using Pairs = std::vector<UnitPair>;

TEST_CASE("pairing: in order, with a lone one at the end of an odd number") {
  CHECK(pair_in_order(4) == Pairs{{0, 1}, {2, 3}});
  CHECK(pair_in_order(5) == Pairs{{0, 1}, {2, 3}, {4, -1}});
}

TEST_CASE("pairing: six clusters of known optimum, their pairs turned and ordered by what is left") {
  // Of the 15 perfect matchings {0,3} {1,5} {2,4} weighs most: 9 + 7 + 6 = 22. Between pairs the heaviest
  // edge is 3-4 (5), which joins {0,3} and {4,2}; then 0-1 (4), which puts {5,1} before them.
  const std::vector<CoRetrieval> counts = {{0, 1, 4}, {0, 3, 9}, {0, 4, 1}, {1, 2, 2},
                                           {1, 5, 7}, {2, 4, 6}, {2, 5, 1}, {3, 4, 5}};
  CHECK(pair_correlated(6, counts) == Pairs{{5, 1}, {0, 3}, {4, 2}});
}

TEST_CASE("pairing: units that no query selected with another are paired in order, behind or between") {
  CHECK(pair_correlated(6, std::vector<CoRetrieval>{{1, 4, 3}}) == Pairs{{0, 2}, {1, 4}, {3, 5}});
  CHECK(pair_correlated(3, std::vector<CoRetrieval>{{0, 2, 3}, {1, 2, 2}}) == Pairs{{0, 2}, {1, -1}});
  CHECK(pair_correlated(1, {}) == Pairs{{0, -1}});
}

TEST_CASE("pairing: every unit is in one pair, on 200 random graphs, greedy ones included") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto units =
        static_cast<std::int32_t>(seed == 200 ? kExactMatchingVertices + 7 : 1 + rng.below(40));
    std::vector<CoRetrieval> counts;
    for (const auto& [edge, weight] : random_graph(std::min(units, 60), rng)) {
      counts.push_back({edge.first, edge.second, weight});
    }
    std::vector<int> seen(static_cast<std::size_t>(units), 0);
    std::int64_t lone = 0;
    for (const UnitPair& pair : pair_correlated(units, counts)) {
      for (const UnitId unit : {pair.first, pair.second}) {
        lone += unit < 0 ? 1 : 0;
        if (unit >= 0) {
          ++seen[static_cast<std::size_t>(unit)];
        }
      }
    }
    CHECK(std::ranges::all_of(seen, [](int times) { return times == 1; }));
    CHECK(lone == units % 2);
  }
}

}  // namespace
}  // namespace kvr

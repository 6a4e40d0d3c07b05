#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace kvr {

/// An edge of a graph whose vertices are 0, 1, ...; `weight` > 0, no edge twice, no loops.
struct WeightedEdge {
  std::int32_t a;
  std::int32_t b;
  std::int64_t weight;
};

/// Up to so many vertices `maximum_weight_matching` takes below a second and 50 MB.
inline constexpr std::int64_t kExactMatchingVertices = 1024;

/// The matching of the largest total weight. Returns [vertices] the partner of each, -1 for none.
/// Time O(vertices^3), memory O(vertices^2).
std::vector<std::int32_t> maximum_weight_matching(std::int32_t vertices, std::span<const WeightedEdge> edges);

/// Takes the heaviest edge whose ends are free until there is none; ties by `a`, then `b`. Its weight is at
/// least half the largest.
std::vector<std::int32_t> greedy_matching(std::int32_t vertices, std::span<const WeightedEdge> edges);

}  // namespace kvr

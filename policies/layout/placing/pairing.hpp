#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/layout.hpp"

namespace kvr {

/// Two units that share a pool: `first` at its beginning, `second` at its end; -1 for none.
struct UnitPair {
  UnitId first = -1;
  UnitId second = -1;

  friend bool operator==(const UnitPair&, const UnitPair&) = default;
};

/// (0, 1), (2, 3), ...
std::vector<UnitPair> pair_in_order(std::int64_t units);

/// Pairs of the largest total co-retrieval, units that it leaves over in order; then the pairs one after
/// another so that the `second` of a pair and the `first` of the next, neighbours on flash, were selected
/// together often. Units above kExactMatchingVertices are paired greedily.
std::vector<UnitPair> pair_correlated(std::int64_t units, std::span<const CoRetrieval> co_retrieval);

}  // namespace kvr

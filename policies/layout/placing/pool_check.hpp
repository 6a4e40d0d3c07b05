#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// Where the records of one unit lie.
struct UnitRecords {
  UnitId unit;
  std::vector<Extent> records;
};

/// Throws InternalError unless the pools of all heads are disjoint and below `end_bytes`.
void check_pools_apart(std::vector<Extent> pools, std::int64_t end_bytes);

/// Throws InternalError unless all records of one head lie in its pools, disjoint, and those of a pool in two
/// pieces at most: one from its beginning on and one up to its end, each of a single unit and without holes.
/// Looks at places only, not at what led to them.
void check_pool_ends(std::vector<Extent> pools, std::span<const UnitRecords> units);

}  // namespace kvr

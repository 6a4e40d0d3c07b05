#pragma once

#include <cstdint>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// The entries that a step may choose from: [begin, end), between the sinks and the recent window.
/// Everything outside is pinned: always in DRAM, always attended to, on top of the budget.
struct CandidateRange {
  EntryIndex begin = 0;
  EntryIndex end = 0;

  bool contains(EntryIndex entry) const { return entry >= begin && entry < end; }
  std::int64_t size() const { return end - begin; }
  bool operator==(const CandidateRange&) const = default;
};

/// `before_current`: entries that exist apart from the current one, which is always attended to.
CandidateRange candidate_range(std::int64_t before_current, std::int64_t sinks, std::int64_t recent);

}  // namespace kvr

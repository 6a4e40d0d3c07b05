#include "sim/engine/walk/candidates.hpp"

#include <algorithm>

namespace kvr {

CandidateRange candidate_range(std::int64_t before_current, std::int64_t sinks, std::int64_t recent) {
  const std::int64_t begin = std::min(sinks, before_current);
  const std::int64_t end = std::max(begin, before_current - recent);
  return {static_cast<EntryIndex>(begin), static_cast<EntryIndex>(end)};
}

}  // namespace kvr

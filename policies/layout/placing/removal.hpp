#pragma once

#include <algorithm>
#include <span>

#include "sim/base/error.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// Whether `changes` are what a stage evicted, and nothing else: no step.
inline bool is_removal(std::span<const Change> changes) {
  const auto removed = std::ranges::count(changes, ChangeKind::removed, &Change::kind);
  KVR_CHECK(removed == 0 || removed == std::ssize(changes), "{} of {} changes remove entries", removed,
            changes.size());
  return removed > 0;
}

}  // namespace kvr

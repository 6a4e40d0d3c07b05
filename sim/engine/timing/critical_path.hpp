#pragma once

#include <array>
#include <span>
#include <vector>

#include "sim/engine/timing/step_times.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// The operations that make a step last as long as it does, in order of time: the one that ends last, the one
/// upon whose end it began, and so on back to the step's begin. Each begins at the very moment when the one
/// before it ends, so the path covers the step without gaps. Of several that end last, the first in the graph
/// counts.
///
/// No search for a longest path: the scheduler knows which of its constraints each start was held back by.
std::vector<OperationId> critical_path(std::span<const Span> spans);

/// Seconds of the critical path by what they were spent on; each of the two sums to the step's latency.
struct CriticalTimes {
  std::array<double, kPurposes> by_purpose_s = {};
  std::array<double, kResources> by_resource_s = {};

  double of(Purpose purpose) const { return by_purpose_s[static_cast<std::size_t>(purpose)]; }
  double of(Resource resource) const { return by_resource_s[static_cast<std::size_t>(resource)]; }
};

CriticalTimes critical_times(const OperationGraph& graph, std::span<const Span> spans);

}  // namespace kvr

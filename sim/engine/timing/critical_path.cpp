#include "sim/engine/timing/critical_path.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr {

std::vector<OperationId> critical_path(std::span<const Span> spans) {
  std::vector<OperationId> path;
  if (spans.empty()) {
    return path;
  }
  const auto last = std::ranges::max_element(spans, {}, &Span::end_s);
  for (auto id = static_cast<OperationId>(last - spans.begin()); id != Span::kStepBegin;) {
    path.push_back(id);
    const Span& span = spans[static_cast<std::size_t>(id)];
    KVR_CHECK(
        span.upon == Span::kStepBegin ||
            (path.size() <= spans.size() && spans[static_cast<std::size_t>(span.upon)].end_s == span.begin_s),
        "operation {} begins at {} s upon operation {}", id, span.begin_s, span.upon);
    id = span.upon;
  }
  std::ranges::reverse(path);
  return path;
}

CriticalTimes critical_times(const OperationGraph& graph, std::span<const Span> spans) {
  CriticalTimes times;
  for (const OperationId id : critical_path(spans)) {
    const auto i = static_cast<std::size_t>(id);
    const Operation& operation = graph.operations()[i];
    const double duration_s = spans[i].end_s - spans[i].begin_s;
    times.by_purpose_s[static_cast<std::size_t>(operation.purpose)] += duration_s;
    times.by_resource_s[static_cast<std::size_t>(operation.resource)] += duration_s;
  }
  return times;
}

}  // namespace kvr

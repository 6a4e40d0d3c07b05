#include "sim/engine/timing/lateness.hpp"

#include <algorithm>

namespace kvr {

Lateness lateness(const OperationGraph& graph, std::span<const Span> spans) {
  const auto operations = graph.operations();
  const auto is_prefetch = [&](OperationId id) {
    return id >= 0 && operations[static_cast<std::size_t>(id)].purpose == Purpose::prefetch;
  };
  Lateness late;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const bool computes =
        operations[i].resource == Resource::compute;  // others wait for their turn, not for data
    if (!computes || !is_prefetch(spans[i].upon)) {
      continue;
    }
    double rest_s = spans[static_cast<std::size_t>(spans[i].upon)].begin_s;
    for (const OperationId before : operations[i].after) {
      if (!is_prefetch(before)) {
        rest_s = std::max(rest_s, spans[static_cast<std::size_t>(before)].end_s);
      }
    }
    ++late.prefetches;
    late.waited_s += spans[i].begin_s - rest_s;
  }
  return late;
}

}  // namespace kvr

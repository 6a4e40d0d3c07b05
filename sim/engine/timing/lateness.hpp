#pragma once

#include <cstdint>
#include <span>

#include "sim/engine/timing/scheduler.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// What waited for reads ahead in one step.
struct Lateness {
  std::int64_t prefetches = 0;  ///< upon whose end something began that waited for nothing else any more
  double waited_s = 0.0;  ///< from where the rest of what it waits for was done; all such waits together
};

/// `spans` [operations of `graph`] as Scheduler::run left them.
Lateness lateness(const OperationGraph& graph, std::span<const Span> spans);

}  // namespace kvr

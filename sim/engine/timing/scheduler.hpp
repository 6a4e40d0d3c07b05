#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/timing/contention.hpp"
#include "sim/engine/timing/flash_batches.hpp"
#include "sim/engine/timing/step_times.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// Runs the operations of a step on their resources, event by event. Computing and each link take one
/// operation at a time, the flash takes up to `batches_outstanding`, which meet in the device. An operation
/// starts when its resource has room and all that it depends on is done; among those that could start first
/// the one that became ready earlier goes first, ties by position in the graph. A request that completes
/// delays what is computed meanwhile.
class Scheduler {
 public:
  explicit Scheduler(FlashDevice& device, std::int64_t batches_outstanding = 1,
                     const Contention& contention = {});

  /// Starts at `begin_s`; `spans` [operations].
  StepTimes run(const OperationGraph& graph, double begin_s, std::vector<Span>& spans);

 private:
  FlashBatches flash_;
  std::int64_t batches_outstanding_;
  Contention contention_;
};

}  // namespace kvr

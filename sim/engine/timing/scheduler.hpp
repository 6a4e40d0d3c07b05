#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// When an operation of a step ran, seconds since the start of the run, and upon what it began: the operation
/// whose end it began at, the last one that it depends on or, if later, the one that its resource did before;
/// kStepBegin where it did not have to wait.
struct Span {
  double begin_s = 0.0;
  double end_s = 0.0;
  OperationId upon = kStepBegin;

  static constexpr OperationId kStepBegin = -1;
};

/// What a step took. Exposed I/O is the time when flash works and compute waits, hidden I/O the rest of the
/// time flash works, so io = exposed + hidden and, on these two resources, latency = compute + exposed +
/// idle.
struct StepTimes {
  double begin_s = 0.0;
  double end_s = 0.0;
  double compute_s = 0.0;
  double io_s = 0.0;
  double exposed_io_s = 0.0;
  double hidden_io_s = 0.0;

  double latency_s() const { return end_s - begin_s; }
};

/// Runs the operations of a step on their resources: each resource does one operation at a time, an operation
/// starts when its resource is free and all it depends on is done, and among those that could start first the
/// one that became ready earlier goes first, ties by position in the graph.
class Scheduler {
 public:
  explicit Scheduler(FlashDevice& device) : device_(&device) {}

  /// Starts at `begin_s`; `spans` [operations].
  StepTimes run(const OperationGraph& graph, double begin_s, std::vector<Span>& spans);

 private:
  double execute(const Operation& operation, double start_s);
  double flash_batch(std::span<const IoRequest> requests, double start_s);

  FlashDevice* device_;
  std::uint64_t next_request_ = 0;
  std::vector<IoRequest> batch_;
  std::vector<IoDone> done_;
};

}  // namespace kvr

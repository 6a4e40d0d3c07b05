#pragma once

#include <span>

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
/// time flash works, so io = exposed + hidden. Links count where the flash does not work, exposed where
/// compute does not either: latency = compute + exposed I/O + exposed links + idle.
struct StepTimes {
  double begin_s = 0.0;
  double end_s = 0.0;
  double compute_s = 0.0;
  double io_s = 0.0;
  double exposed_io_s = 0.0;
  double hidden_io_s = 0.0;
  double link_s = 0.0;          ///< any link is busy
  double exposed_link_s = 0.0;  ///< and neither compute nor flash is

  double latency_s() const { return end_s - begin_s; }
};

/// `spans` [operations].
StepTimes step_times(std::span<const Operation> operations, std::span<const Span> spans, double begin_s);

}  // namespace kvr

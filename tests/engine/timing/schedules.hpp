#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/timing/scheduler.hpp"
#include "tests/engine/support.hpp"

namespace kvr::test {

std::unique_ptr<FlashDevice> make_device();

/// Reads of `blocks` blocks each, far apart.
std::vector<IoRequest> reads(std::initializer_list<std::int64_t> blocks);

/// What the device takes for these requests when nothing else is going on.
double alone_s(std::span<const IoRequest> requests);

Operation compute(double duration_s, std::vector<OperationId> after = {});
Operation transfer(std::int32_t link, double duration_s, std::vector<OperationId> after = {});
Operation flash(std::span<const IoRequest> requests, std::vector<OperationId> after = {});

struct Outcome {
  StepTimes times;
  std::vector<Span> spans;
};

/// One step on a device of its own.
Outcome run(const OperationGraph& graph, double begin_s = 0.0);

/// Up to 30 operations, each on any resource, of two links, after any of those before it.
OperationGraph random_graph(Rng& rng, std::span<const std::vector<IoRequest>> batches);

}  // namespace kvr::test

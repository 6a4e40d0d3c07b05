#include "tests/engine/timing/schedules.hpp"

#include <algorithm>
#include <utility>

namespace kvr::test {
namespace {

constexpr std::int64_t kBlock = 4096;

}  // namespace

std::unique_ptr<FlashDevice> make_device() {
  return test::make<FlashDevice>("analytic", {.host = {}, .root_seed = 1});
}

std::vector<IoRequest> reads(std::initializer_list<std::int64_t> blocks) {
  std::vector<IoRequest> requests;
  for (const std::int64_t count : blocks) {
    requests.push_back({0, IoKind::read, 0, std::ssize(requests) * 1000 * kBlock, count * kBlock, 0.0});
  }
  return requests;
}

double alone_s(std::span<const IoRequest> requests) {
  const auto device = make_device();
  device->submit(requests);
  std::vector<IoDone> done;
  while (done.size() < requests.size()) {
    device->advance(device->next_event_s(), done);
  }
  return std::ranges::max_element(done, {}, &IoDone::done_s)->done_s;
}

Operation compute(double duration_s, std::vector<OperationId> after) {
  return {.purpose = Purpose::attention,
          .layer = 0,
          .resource = Resource::compute,
          .duration_s = duration_s,
          .after = std::move(after)};
}

Operation transfer(std::int32_t link, double duration_s, std::vector<OperationId> after) {
  return {.purpose = Purpose::tier_read,
          .layer = 0,
          .resource = Resource::link,
          .duration_s = duration_s,
          .after = std::move(after),
          .link = link};
}

Operation flash(std::span<const IoRequest> requests, std::vector<OperationId> after) {
  return {.purpose = Purpose::read,
          .layer = 0,
          .resource = Resource::flash,
          .requests = requests,
          .after = std::move(after)};
}

Outcome run(const OperationGraph& graph, double begin_s) {
  const auto device = make_device();
  Scheduler scheduler(*device);
  Outcome outcome;
  outcome.times = scheduler.run(graph, begin_s, outcome.spans);
  return outcome;
}

OperationGraph random_graph(Rng& rng, std::span<const std::vector<IoRequest>> batches) {
  OperationGraph graph;
  const std::uint64_t count = 1 + rng.below(30);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::vector<OperationId> after;
    for (std::uint64_t before = 0; before < i; ++before) {
      if (rng.below(8) == 0) {
        after.push_back(static_cast<OperationId>(before));
      }
    }
    const std::uint64_t resource = rng.below(kResources);
    graph.add(resource == 0 ? compute(rng.uniform() * 1e-3, after)
              : resource == 1
                  ? flash(batches[rng.below(batches.size())], after)
                  : transfer(static_cast<std::int32_t>(rng.below(2)), rng.uniform() * 1e-3, after));
  }
  return graph;
}

}  // namespace kvr::test

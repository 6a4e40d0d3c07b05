// DynaKV's pipelines: a layer by hand, who waits for whom, and bounds on random steps.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <numeric>
#include <vector>

#include "sim/base/rng.hpp"
#include "sim/engine/timing/scheduler.hpp"
#include "sim/interfaces/schedule.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

/// Takes a second for each request of a batch.
class SecondsDevice final : public FlashDevice {
 public:
  DeviceLimits limits() const override { return {32, 4096, 1 << 20, 1e9}; }
  void set_working_set(std::int64_t) override {}
  void submit(std::span<const IoRequest> requests) override {
    waiting_.assign(requests.begin(), requests.end());
    end_s_ = requests.front().submit_s + static_cast<double>(requests.size());
  }
  double next_event_s() override {
    return waiting_.empty() ? std::numeric_limits<double>::infinity() : end_s_;
  }
  void advance(double to_s, std::vector<IoDone>& done) override {
    if (to_s >= end_s_) {
      for (const IoRequest& request : waiting_) {
        done.push_back({.id = request.id, .done_s = end_s_});
      }
      waiting_.clear();
    }
  }
  DeviceStats stats() const override { return {}; }
  DeviceEnergy energy(double) const override { return {}; }

 private:
  std::vector<IoRequest> waiting_;
  double end_s_ = 0.0;
};

std::span<const IoRequest> seconds(std::size_t count) {
  static const std::vector<IoRequest> requests(100);
  return std::span(requests).first(count);
}

/// So many requests for each use, in the order of issue; none where there are none.
struct Requests {
  std::size_t reads = 0;
  std::size_t writes = 0;
  std::size_t representatives = 0;
  std::size_t swapped = 0;
};

std::span<const Transfer> transfers(const Requests& of) {
  static std::deque<std::vector<Transfer>> made;  // which stay where they are
  std::vector<Transfer>& list = made.emplace_back();
  const auto add = [&list](Use use, std::size_t count) {
    if (count > 0) {
      list.push_back({.use = use, .from = 1, .to = 0, .requests = seconds(count)});
    }
  };
  add(Use::representatives, of.representatives);
  add(Use::swap, of.swapped);
  add(Use::demand, of.reads);
  add(Use::update, of.writes);
  return list;
}

LayerDemand full_layer() {
  return {.query_projection_s = 2.0,
          .key_value_projection_s = 3.0,
          .score_s = 1.0,
          .attention_s = 4.0,
          .output_projection_s = 1.0,
          .feed_forward_s = 5.0,
          .update_s = 1.0,
          .transfers = transfers({.reads = 2, .writes = 1, .representatives = 1, .swapped = 4}),
          .leaves_by_writing = true};
}

ParamValues switched(const char* parameter, bool on) {
  ParamValues values;
  values[parameter] = on;
  return values;
}

OperationGraph lay(std::span<const LayerDemand> layers, double output_head_s,
                   const std::string& type = "dynakv", const ParamValues& values = {}) {
  OperationGraph graph;
  test::make<Schedule>(type, values, {})->lay(layers, output_head_s, graph);
  return graph;
}

struct Outcome {
  StepTimes times;
  std::vector<Span> spans;
};

Outcome run(const OperationGraph& graph) {
  SecondsDevice device;
  Scheduler scheduler(device);
  Outcome outcome;
  outcome.times = scheduler.run(graph, 0.0, outcome.spans);
  return outcome;
}

OperationId id_of(const OperationGraph& graph, Purpose purpose, std::int32_t layer) {
  const auto operations = graph.operations();
  const auto found = std::ranges::find_if(
      operations, [&](const Operation& one) { return one.purpose == purpose && one.layer == layer; });
  REQUIRE(found != operations.end());
  return static_cast<OperationId>(found - operations.begin());
}

Span span_of(const OperationGraph& graph, const Outcome& outcome, Purpose purpose, std::int32_t layer) {
  return outcome.spans[static_cast<std::size_t>(id_of(graph, purpose, layer))];
}

TEST_CASE("dynakv: one flash operation is outstanding at a time unless more may be") {
  ParamValues values;
  values["reads_outstanding"] = std::int64_t{3};
  CHECK(test::make<Schedule>("dynakv", {}, {})->batches_outstanding() == 1);
  CHECK(test::make<Schedule>("dynakv", values, {})->batches_outstanding() == 3);
  CHECK(test::make<Schedule>("serial", {}, {})->batches_outstanding() == 1);
}

TEST_CASE("dynakv: one layer by hand") {
  const LayerDemand layer = full_layer();
  const OperationGraph graph = lay({&layer, 1}, 1.0);
  const Outcome outcome = run(graph);
  const auto check = [&](Purpose purpose, std::int32_t of, double begin_s, double end_s) {
    const Span span = span_of(graph, outcome, purpose, of);
    CAPTURE(static_cast<int>(purpose));
    CHECK(span.begin_s == begin_s);
    CHECK(span.end_s == end_s);
  };
  check(Purpose::query_projection, 0, 0, 2);
  check(Purpose::representative_read, 0, 0, 1);
  check(Purpose::swap_in, 0, 1, 5);
  check(Purpose::score, 0, 2, 3);  // before the K/V projections, ready at the same time
  check(Purpose::key_value_projection, 0, 3, 6);
  check(Purpose::read, 0, 5, 7);  // behind the swap
  check(Purpose::attention, 0, 7, 11);
  check(Purpose::output_projection, 0, 11, 12);
  check(Purpose::update, 0, 12, 13);  // ready since 11, the feed forward since 12
  check(Purpose::write, 0, 13, 14);
  check(Purpose::feed_forward, 0, 13, 18);
  check(Purpose::output_head, 1, 18, 19);
  CHECK(outcome.times.latency_s() == 19);
  CHECK(outcome.times.compute_s == 18);
  CHECK(outcome.times.io_s == 8);
  CHECK(outcome.times.exposed_io_s == 1);  // 6 to 7
}

TEST_CASE("dynakv: the next layer's cache comes in under attention and feed forward, its query waits") {
  const std::vector<LayerDemand> layers(3, full_layer());
  const OperationGraph graph = lay(layers, 0.0);
  const Outcome outcome = run(graph);
  for (std::int32_t layer = 1; layer < 3; ++layer) {
    CAPTURE(layer);
    const Span swap = span_of(graph, outcome, Purpose::swap_in, layer);
    CHECK(swap.begin_s >= span_of(graph, outcome, Purpose::read, layer - 1).end_s);
    CHECK(swap.end_s <= span_of(graph, outcome, Purpose::feed_forward, layer - 1).end_s);
    CHECK(span_of(graph, outcome, Purpose::query_projection, layer).begin_s >=
          span_of(graph, outcome, Purpose::feed_forward, layer - 1).end_s);
  }
  CHECK(span_of(graph, outcome, Purpose::swap_in, 2).begin_s >=
        span_of(graph, outcome, Purpose::attention, 0).end_s);
}

TEST_CASE("dynakv: a layer comes in when the one two before has left, and that takes a write to an area") {
  const auto swapped_after = [](bool by_writing, LayerDemand demand) {
    demand.leaves_by_writing = by_writing;
    const std::vector<LayerDemand> layers(3, demand);
    const OperationGraph graph = lay(layers, 0.0);
    const auto swap_in = static_cast<std::size_t>(id_of(graph, Purpose::swap_in, 2));
    std::vector<OperationId> after = graph.operations()[swap_in].after;
    std::erase(after, id_of(graph, Purpose::read, 1));
    REQUIRE(after.size() == 1);
    const Operation& left = graph.operations()[static_cast<std::size_t>(after.front())];
    CHECK(left.layer == 0);
    return left.purpose;
  };
  CHECK(swapped_after(true, full_layer()) == Purpose::write);
  CHECK(swapped_after(false, full_layer()) == Purpose::attention);
  LayerDemand unchanged = full_layer();
  unchanged.transfers = transfers({.reads = 2, .representatives = 1, .swapped = 4});
  unchanged.update_s = 0.0;
  CHECK(swapped_after(true, unchanged) == Purpose::attention);
}

TEST_CASE("dynakv: without overlap representatives and entries are waited for") {
  const LayerDemand layer = full_layer();
  const OperationGraph graph = lay({&layer, 1}, 0.0, "dynakv", switched("overlap_projections", false));
  const Outcome outcome = run(graph);
  CHECK(span_of(graph, outcome, Purpose::representative_read, 0).begin_s >=
        span_of(graph, outcome, Purpose::query_projection, 0).end_s);
  CHECK(span_of(graph, outcome, Purpose::key_value_projection, 0).begin_s >=
        span_of(graph, outcome, Purpose::read, 0).end_s);
}

TEST_CASE("dynakv: no step is longer than one after another, nor shorter than either resource is busy") {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "dynakv schedule");
    const auto maybe_s = [&rng] { return rng.below(4) == 0 ? 0.0 : rng.uniform(); };
    const bool by_writing = rng.below(2) == 0;
    std::vector<LayerDemand> layers;
    for (std::uint64_t i = 0; i < 1 + rng.below(6); ++i) {
      layers.push_back({.query_projection_s = maybe_s(),
                        .key_value_projection_s = maybe_s(),
                        .score_s = maybe_s(),
                        .attention_s = maybe_s(),
                        .output_projection_s = maybe_s(),
                        .feed_forward_s = maybe_s(),
                        .update_s = maybe_s(),
                        .transfers = transfers({.reads = rng.below(4),
                                                .writes = rng.below(3),
                                                .representatives = rng.below(2),
                                                .swapped = rng.below(4)}),
                        .leaves_by_writing = by_writing});
    }
    const ParamValues values = switched("overlap_projections", rng.below(2) == 0);
    const OperationGraph graph = lay(layers, maybe_s(), "dynakv", values);
    const Outcome outcome = run(graph);
    const auto operations = graph.operations();
    double sum_s = 0.0;
    for (const Operation& one : operations) {
      sum_s += one.resource == Resource::flash ? static_cast<double>(one.requests.size()) : one.duration_s;
    }
    CHECK(outcome.times.latency_s() <= sum_s + 1e-9);
    CHECK(outcome.times.latency_s() >= outcome.times.compute_s - 1e-9);
    CHECK(outcome.times.latency_s() >= outcome.times.io_s - 1e-9);
    CHECK(outcome.times.compute_s + outcome.times.io_s == doctest::Approx(sum_s));
  }
}

}  // namespace
}  // namespace kvr

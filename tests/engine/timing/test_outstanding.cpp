// Flash operations outstanding together: by closed form, and as a property of random steps.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/timing/critical_path.hpp"
#include "tests/engine/timing/schedules.hpp"

namespace kvr {
namespace {

using test::compute;
using test::flash;
using test::Outcome;
using test::reads;

std::unique_ptr<FlashDevice> device_of(const std::string& type) {
  return test::make<FlashDevice>(type, {.host = {}, .root_seed = 1});
}

Outcome run(const std::string& type, std::int64_t outstanding, const OperationGraph& graph,
            double begin_s = 0.0) {
  const auto device = device_of(type);
  Scheduler scheduler(*device, outstanding);
  Outcome outcome;
  outcome.times = scheduler.run(graph, begin_s, outcome.spans);
  return outcome;
}

doctest::Approx about(double value) {
  return doctest::Approx(value).epsilon(1e-9);
}

TEST_CASE("two batches: with one outstanding the sum of both, with two what the device makes of both") {
  const auto small = reads({1});
  auto large = reads({0, 16});
  large.erase(large.begin());
  OperationGraph graph;
  graph.add(flash(small));
  graph.add(flash(large));
  const auto alone_s = [](const std::string& type, std::span<const IoRequest> requests) {
    OperationGraph one;
    one.add(flash(requests));
    return run(type, 1, one).times.latency_s();
  };
  for (const std::string type : {"queueing", "analytic"}) {
    CAPTURE(type);
    const double small_s = alone_s(type, small);
    const double large_s = alone_s(type, large);
    CHECK(run(type, 1, graph).times.latency_s() == about(small_s + large_s));
    const Outcome both = run(type, 2, graph);
    CHECK(both.spans[1].begin_s == 0.0);
    CHECK(both.times.io_s == about(both.times.latency_s()));
    if (type == "queueing") {
      CHECK(both.times.latency_s() < 0.9 * (small_s + large_s));
      CHECK(both.times.latency_s() >= large_s * (1.0 - 1e-9));
    } else {  // whose batches exclude each other
      CHECK(both.times.latency_s() == about(small_s + large_s));
    }
  }
}

TEST_CASE("a batch that becomes ready under another one and a computation is submitted when it is ready") {
  const auto long_read = reads({64, 64, 64, 64});
  const auto short_read = reads({1});
  OperationGraph graph;
  graph.add(flash(long_read));
  graph.add(compute(20e-6));
  graph.add(flash(short_read, {1}));
  graph.add(compute(1e-3, {2}));
  const Outcome one = run("queueing", 1, graph);
  CHECK(one.spans[2].begin_s == one.spans[0].end_s);
  CHECK(one.spans[2].upon == 0);
  const Outcome two = run("queueing", 2, graph);
  CHECK(two.spans[2].begin_s == 20e-6);
  CHECK(two.spans[2].upon == 1);
  CHECK(two.spans[0].end_s >= one.spans[0].end_s);
  CHECK(two.times.latency_s() < one.times.latency_s());
}

TEST_CASE("with room for two the third waits for whichever is done first") {
  const auto long_read = reads({64, 64, 64, 64});
  const auto short_read = reads({1});
  OperationGraph graph;
  graph.add(flash(long_read));
  graph.add(flash(short_read));
  graph.add(flash(short_read));
  const Outcome o = run("queueing", 2, graph);
  CHECK(o.spans[1].begin_s == 0.0);
  CHECK(o.spans[2].upon == 1);
  CHECK(o.spans[2].begin_s == o.spans[1].end_s);
}

TEST_CASE("no batch outstanding is a bug") {
  const auto device = device_of("analytic");
  CHECK_THROWS_AS(Scheduler(*device, 0), InternalError);
}

/// Dependencies are kept, computing is one at a time, and never more than `outstanding` batches are.
void check_sound(const OperationGraph& graph, const Outcome& o, std::int64_t outstanding) {
  const auto operations = graph.operations();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const Span& span = o.spans[i];
    for (const OperationId before : operations[i].after) {
      CHECK(o.spans[static_cast<std::size_t>(before)].end_s <= span.begin_s);
    }
    std::int64_t beside = 0;
    for (std::size_t j = 0; j < operations.size(); ++j) {
      beside += lane_of(operations[j]) == lane_of(operations[i]) && o.spans[j].begin_s <= span.begin_s &&
                        span.begin_s < o.spans[j].end_s
                    ? 1
                    : 0;
    }
    CHECK(beside <= (operations[i].resource == Resource::flash ? outstanding : 1));
  }
}

TEST_CASE("200 random graphs with up to four batches outstanding are sound, and their paths cover the step") {
  const std::array batches = {reads({1}), reads({3, 1, 9}), reads({64, 64})};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/engine/outstanding");
    const OperationGraph graph = test::random_graph(rng, batches);
    const auto outstanding = static_cast<std::int64_t>(1 + rng.below(4));
    const std::string type = rng.below(4) == 0 ? "analytic" : "queueing";
    const double begin_s = rng.uniform();
    const Outcome o = run(type, outstanding, graph, begin_s);
    check_sound(graph, o, outstanding);
    const CriticalTimes times = critical_times(graph, o.spans);
    CHECK(times.of(Resource::compute) + times.of(Resource::flash) + times.of(Resource::link) ==
          about(o.times.latency_s()));
    CHECK(o.times.exposed_io_s + o.times.hidden_io_s == about(o.times.io_s));
    const Outcome again = run(type, outstanding, graph, begin_s);
    CHECK(std::ranges::equal(again.spans, o.spans, [](const Span& a, const Span& b) {
      return a.begin_s == b.begin_s && a.end_s == b.end_s && a.upon == b.upon;
    }));
  }
}

}  // namespace
}  // namespace kvr

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/timing/scheduler.hpp"
#include "tests/engine/timing/schedules.hpp"

namespace kvr {
namespace {

using test::alone_s;
using test::compute;
using test::flash;
using test::make_device;
using test::Outcome;
using test::random_graph;
using test::reads;
using test::run;
using test::transfer;

doctest::Approx about(double value) {
  return doctest::Approx(value).epsilon(1e-9);
}

TEST_CASE("a chain takes the sum of its parts and exposes all of its I/O") {
  const auto requests = reads({4, 1, 2});
  const double io_s = alone_s(requests);
  OperationGraph graph;
  graph.add(compute(2e-3));
  graph.add(flash(requests, {0}));
  graph.add(compute(3e-3, {1}));
  const Outcome o = run(graph, 7.0);
  CHECK(o.times.latency_s() == about(5e-3 + io_s));
  CHECK(o.times.begin_s == 7.0);
  CHECK(o.times.compute_s == about(5e-3));
  CHECK(o.times.io_s == about(io_s));
  CHECK(o.times.exposed_io_s == about(io_s));
  CHECK(o.times.hidden_io_s == doctest::Approx(0.0));
  CHECK(o.spans[1].begin_s == about(7.0 + 2e-3));
  CHECK(o.spans[2].end_s == o.times.end_s);
}

TEST_CASE("flash under a longer computation is hidden, and what outlasts a shorter one is exposed") {
  const auto requests = reads({64, 64, 64});
  const double io_s = alone_s(requests);
  OperationGraph longer;
  longer.add(compute(3.0 * io_s));
  longer.add(flash(requests));
  const StepTimes hidden = run(longer).times;
  CHECK(hidden.latency_s() == about(3.0 * io_s));
  CHECK(hidden.hidden_io_s == about(io_s));
  CHECK(hidden.exposed_io_s == doctest::Approx(0.0));
  OperationGraph shorter;
  shorter.add(compute(0.25 * io_s));
  shorter.add(flash(requests));
  const StepTimes exposed = run(shorter).times;
  CHECK(exposed.latency_s() == about(io_s));
  CHECK(exposed.hidden_io_s == about(0.25 * io_s));
  CHECK(exposed.exposed_io_s == about(0.75 * io_s));
}

TEST_CASE("what the gap between two computations leaves uncovered is exposed") {
  // compute |a|       |--b--|         a lasts a quarter of a read, b half of one and waits for the first read
  // flash   |---read--|---read--|
  const auto one = reads({64});
  const double io_s = alone_s(one);
  OperationGraph graph;
  graph.add(compute(0.25 * io_s));
  graph.add(flash(one));
  graph.add(compute(0.5 * io_s, {1}));
  graph.add(flash(one, {1}));
  const StepTimes times = run(graph).times;
  CHECK(times.io_s == about(2.0 * io_s));
  CHECK(times.hidden_io_s == about(0.75 * io_s));
  CHECK(times.exposed_io_s == about(1.25 * io_s));
  CHECK(times.latency_s() == about(2.0 * io_s));
}

TEST_CASE("on one resource the operation that became ready first goes first, ties by position") {
  OperationGraph graph;
  graph.add(compute(1.0));       // 0: 0 to 1
  graph.add(compute(1.0));       // 1: as ready as 0, so next, 1 to 2
  graph.add(compute(1.0, {0}));  // 2: ready at 1
  graph.add(compute(1.0));       // 3: ready since 0, so before 2
  const Outcome o = run(graph);
  CHECK(o.spans[1].begin_s == 1.0);
  CHECK(o.spans[3].begin_s == 2.0);
  CHECK(o.spans[2].begin_s == 3.0);
  CHECK(o.times.latency_s() == 4.0);
}

TEST_CASE("an empty step takes no time") {
  const StepTimes times = run(OperationGraph(), 3.0).times;
  CHECK(times.latency_s() == 0.0);
  CHECK(times.io_s == 0.0);
}

TEST_CASE("steps follow one another on one device, whose clock never goes back") {
  const auto device = make_device();
  Scheduler scheduler(*device);
  const auto requests = reads({2, 2});
  OperationGraph graph;
  graph.add(flash(requests));
  graph.add(compute(1e-4, {0}));
  std::vector<Span> spans;
  double now_s = 0.0;
  for (int step = 0; step < 5; ++step) {
    const StepTimes times = scheduler.run(graph, now_s, spans);
    CHECK(times.begin_s == now_s);
    CHECK(times.latency_s() == about(alone_s(requests) + 1e-4));
    now_s = times.end_s;
  }
  CHECK(device->stats().reads == 10);
}

TEST_CASE("an operation that depends on a later one, on itself or on nothing that exists is a bug") {
  for (const OperationId before : {0, 1, 5, -1}) {
    OperationGraph graph;
    graph.add(compute(1.0, {before}));
    graph.add(compute(1.0));
    CHECK_THROWS_AS(run(graph), InternalError);
  }
}

TEST_CASE("a duration that is negative or not a number is a bug") {
  for (const double duration_s : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    OperationGraph graph;
    graph.add(compute(duration_s));
    CHECK_THROWS_AS(run(graph), InternalError);
  }
}

TEST_CASE("links run at once, beside computing and the flash, and each takes one transfer at a time") {
  const auto one = reads({64});
  const double io_s = alone_s(one);
  OperationGraph graph;
  graph.add(compute(io_s));
  graph.add(flash(one));
  graph.add(transfer(0, 2.0 * io_s));  // 2: 0 to 2
  graph.add(transfer(1, 0.5 * io_s));  // 3: 0 to 0.5
  graph.add(transfer(1, io_s));        // 4: 0.5 to 1.5
  graph.add(transfer(1, io_s, {1}));   // 5: 1.5 to 2.5
  const Outcome o = run(graph);
  CHECK(o.spans[4].begin_s == about(0.5 * io_s));
  CHECK(o.spans[5].begin_s == about(1.5 * io_s));
  CHECK(o.spans[5].upon == 4);
  CHECK(o.times.latency_s() == about(2.5 * io_s));
  CHECK(o.times.io_s == about(io_s));
  CHECK(o.times.exposed_io_s == about(0.0));
  CHECK(o.times.link_s == about(2.5 * io_s));
  CHECK(o.times.exposed_link_s == about(1.5 * io_s));
}

/// Dependencies and resources are respected, and the times are what the spans say.
void check_sound(const OperationGraph& graph, const Outcome& o) {
  const auto operations = graph.operations();
  constexpr std::size_t kLanes = lane_of(Resource::link, 2);
  std::array<double, kLanes> busy_s = {};
  std::array<std::vector<Span>, kLanes> used;
  for (std::size_t i = 0; i < operations.size(); ++i) {
    const std::size_t lane = lane_of(operations[i]);
    busy_s[lane] += o.spans[i].end_s - o.spans[i].begin_s;
    used[lane].push_back(o.spans[i]);
    CHECK(o.spans[i].end_s <= o.times.end_s);
    for (const OperationId before : operations[i].after) {
      CHECK(o.spans[static_cast<std::size_t>(before)].end_s <= o.spans[i].begin_s);
    }
  }
  for (auto& spans : used) {
    std::ranges::sort(spans, {}, &Span::begin_s);
    for (std::size_t i = 1; i < spans.size(); ++i) {
      CHECK(spans[i - 1].end_s <= spans[i].begin_s);
    }
  }
  CHECK(o.times.compute_s == about(busy_s[0]));
  CHECK(o.times.io_s == about(busy_s[1]));
  CHECK(o.times.latency_s() + 1e-12 >= *std::ranges::max_element(busy_s));
  CHECK(o.times.latency_s() <= std::accumulate(busy_s.begin(), busy_s.end(), 1e-12));
  CHECK(o.times.exposed_io_s + o.times.hidden_io_s == about(o.times.io_s));
  CHECK(o.times.exposed_io_s >= 0.0);
  CHECK(o.times.hidden_io_s >= -1e-12);
  CHECK(o.times.latency_s() == about(o.times.compute_s + o.times.exposed_io_s + o.times.exposed_link_s));
}

TEST_CASE("200 random graphs keep dependencies, use each resource once at a time and waste no resource") {
  const std::array batches = {reads({1}), reads({3, 1, 9}), reads({64, 64})};
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const OperationGraph graph = random_graph(rng, batches);
    check_sound(graph, run(graph, rng.uniform()));
  }
}

}  // namespace
}  // namespace kvr

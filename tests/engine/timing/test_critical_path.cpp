// What bounds a step: by hand, as a property of random graphs, and against a plain longest path.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <numeric>
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
using test::run;
using Path = std::vector<OperationId>;

doctest::Approx about(double value) {
  return doctest::Approx(value).epsilon(1e-9);
}

TEST_CASE("a chain is its own critical path, and its times are those of its operations") {
  const auto requests = reads({4, 1, 2});
  OperationGraph graph;
  graph.add(compute(2e-3));
  graph.add(flash(requests, {0}));
  graph.add(compute(3e-3, {1}));
  const Outcome o = run(graph, 7.0);
  CHECK(critical_path(o.spans) == Path{0, 1, 2});
  const CriticalTimes times = critical_times(graph, o.spans);
  CHECK(times.of(Resource::compute) == about(5e-3));
  CHECK(times.of(Resource::flash) == about(o.times.io_s));
  CHECK(times.of(Purpose::attention) == times.of(Resource::compute));
  CHECK(times.of(Purpose::read) == times.of(Resource::flash));
  CHECK(times.of(Purpose::score) == 0.0);
}

TEST_CASE("what is hidden is not on the path: flash under a longer computation, and the other way round") {
  const auto requests = reads({64, 64});
  const double io_s = test::alone_s(requests);
  for (const double share : {0.5, 2.0}) {
    OperationGraph graph;
    graph.add(compute(share * io_s));
    graph.add(flash(requests));
    graph.add(compute(1e-3, {0, 1}));
    CHECK(critical_path(run(graph).spans) == (share > 1.0 ? Path{0, 2} : Path{1, 2}));
  }
}

TEST_CASE("an operation that waits for its resource alone is held back by the one before it there") {
  OperationGraph graph;
  graph.add(compute(1.0));       // 0: 0 to 1
  graph.add(compute(2.0));       // 1: 1 to 3, behind 0
  graph.add(compute(1.0, {0}));  // 2: ready at 1, begins at 3 behind 1
  const Outcome o = run(graph);
  CHECK(o.spans[1].upon == 0);
  CHECK(o.spans[2].upon == 1);
  CHECK(critical_path(o.spans) == Path{0, 1, 2});
}

TEST_CASE("where a dependency and the resource come free at once, the dependency counts") {
  OperationGraph graph;
  graph.add(compute(1.0));
  graph.add(compute(1.0, {0}));
  CHECK(run(graph).spans[1].upon == 0);
}

TEST_CASE("a path through a resource's queue leads on to what the queue waited for") {
  const auto one = reads({64});
  const double io_s = test::alone_s(one);
  OperationGraph graph;
  graph.add(compute(2.0 * io_s));       // 0
  graph.add(flash(one, {0}));           // 1: behind 0
  graph.add(compute(0.5 * io_s));       // 2: behind 0
  graph.add(flash(one, {2}));           // 3: ready before 1 is done, begins upon it
  graph.add(compute(0.1 * io_s, {3}));  // 4
  const Outcome o = run(graph);
  CHECK(critical_path(o.spans) == Path{0, 1, 3, 4});
  const CriticalTimes times = critical_times(graph, o.spans);
  CHECK(times.of(Resource::flash) == about(2.0 * io_s));
  CHECK(times.of(Resource::compute) == about(2.1 * io_s));
}

TEST_CASE("nothing bounds a step without operations") {
  CHECK(critical_path({}).empty());
  CHECK(critical_times(OperationGraph(), {}).of(Resource::compute) == 0.0);
}

TEST_CASE("spans with a gap where one should begin upon another, or that wait in a circle, are a bug") {
  CHECK_THROWS_AS(critical_path(std::vector<Span>{{0.0, 1.0}, {1.5, 2.0, 0}}), InternalError);
  CHECK_THROWS_AS(critical_path(std::vector<Span>{{1.0, 1.0, 1}, {1.0, 1.0, 0}}), InternalError);
}

/// Whether `before` could hold `id` back: by a dependency, or because its resource does one at a time.
bool binds(const OperationGraph& graph, OperationId before, OperationId id) {
  const Operation& a = graph.operations()[static_cast<std::size_t>(before)];
  const Operation& b = graph.operations()[static_cast<std::size_t>(id)];
  return std::ranges::find(b.after, before) != b.after.end() || a.resource == b.resource;
}

/// The path covers the step without gaps, each step of it is a constraint that binds, and no time is lost.
void check_path(const OperationGraph& graph, const Outcome& o) {
  const Path path = critical_path(o.spans);
  double at_s = o.times.begin_s;
  double sum_s = 0.0;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const Span& span = o.spans[static_cast<std::size_t>(path[i])];
    CHECK(span.begin_s == at_s);
    CHECK((i == 0 || binds(graph, path[i - 1], path[i])));
    at_s = span.end_s;
    sum_s += span.end_s - span.begin_s;
  }
  CHECK(at_s == o.times.end_s);
  CHECK(sum_s == about(o.times.latency_s()));
  const CriticalTimes times = critical_times(graph, o.spans);
  CHECK(std::accumulate(times.by_purpose_s.begin(), times.by_purpose_s.end(), 0.0) ==
        about(o.times.latency_s()));
  CHECK(times.of(Resource::compute) + times.of(Resource::flash) + times.of(Resource::link) ==
        about(o.times.latency_s()));
  CHECK(times.of(Resource::compute) <= o.times.compute_s * (1.0 + 1e-9));
  CHECK(times.of(Resource::flash) <= o.times.io_s * (1.0 + 1e-9));
}

/// The longest path through dependencies and the order on each resource, which knows of no times but
/// durations.
double longest_path_s(const OperationGraph& graph, std::span<const Span> spans) {
  const auto operations = graph.operations();
  std::vector<std::size_t> by_time(operations.size());
  std::iota(by_time.begin(), by_time.end(), 0U);
  std::ranges::stable_sort(by_time, {}, [&](std::size_t i) { return spans[i].begin_s; });
  std::vector<double> longest_s(operations.size(), 0.0);
  std::array<double, lane_of(Resource::link, 2)> on_lane_s = {};
  double longest = 0.0;
  for (const std::size_t i : by_time) {
    double& queue_s = on_lane_s[lane_of(operations[i])];
    double before_s = queue_s;
    for (const OperationId before : operations[i].after) {
      before_s = std::max(before_s, longest_s[static_cast<std::size_t>(before)]);
    }
    longest_s[i] = before_s + (spans[i].end_s - spans[i].begin_s);
    queue_s = longest_s[i];
    longest = std::max(longest, longest_s[i]);
  }
  return longest;
}

TEST_CASE("in 300 random graphs the path covers the step and is as long as the longest path there is") {
  const std::array batches = {reads({1}), reads({3, 1, 9}), reads({64, 64})};
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/engine/critical_path");
    const OperationGraph graph = test::random_graph(rng, batches);
    const Outcome o = run(graph, rng.uniform());
    check_path(graph, o);
    CHECK(longest_path_s(graph, o.spans) == about(o.times.latency_s()));
  }
}

}  // namespace
}  // namespace kvr

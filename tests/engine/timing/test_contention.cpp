// What flash requests cost the computation beside them, by closed form.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/engine/timing/scheduler.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/timing/schedules.hpp"

namespace kvr {
namespace {

using test::compute;
using test::flash;
using test::Outcome;
using test::reads;

doctest::Approx about(double value) {
  return doctest::Approx(value).epsilon(1e-9);
}

constexpr double kBlock = 4096.0;
constexpr HostCost kHost = {.per_command_s = 3e-6, .per_byte_s = 1e-10};
constexpr DeviceLimits kLimits = {.queue_depth = 32, .max_transfer_bytes = 128 * 4096};

Outcome run(const OperationGraph& graph, const IoContention& cost) {
  const auto device = test::make_device();
  Scheduler scheduler(*device, 1, {cost, kHost, kLimits});
  Outcome outcome;
  outcome.times = scheduler.run(graph, 0.0, outcome.spans);
  return outcome;
}

TEST_CASE("a request costs DRAM by the byte it reads, and the core by command and byte") {
  const Contention dram({.per_read_byte_s = 2e-10}, kHost, kLimits);
  CHECK(dram.delay_s({.kind = IoKind::read, .length_bytes = 8192}) == about(2e-10 * 8192));
  CHECK(dram.delay_s({.kind = IoKind::write, .length_bytes = 8192}) == 0.0);
  const Contention core({.per_host_s = 0.25}, kHost, kLimits);
  const double two_commands_s = 0.25 * (2 * 3e-6 + 1e-10 * 129 * kBlock);
  for (const IoKind kind : {IoKind::read, IoKind::write}) {
    CHECK(core.delay_s({.kind = kind, .length_bytes = 129 * 4096}) == about(two_commands_s));
  }
  CHECK(Contention().delay_s({.kind = IoKind::read, .length_bytes = 4096}) == 0.0);
}

TEST_CASE("a computation beside three reads takes longer by what they cost, and the reads do not") {
  const auto requests = reads({4, 1, 2});
  OperationGraph graph;
  graph.add(compute(10e-3));
  graph.add(flash(requests));
  const Outcome o = run(graph, {.per_read_byte_s = 1e-9, .per_host_s = 0.5});
  const double bytes = 7 * kBlock;
  CHECK(o.times.compute_s == about(10e-3 + 1e-9 * bytes + 0.5 * (3 * 3e-6 + 1e-10 * bytes)));
  CHECK(o.times.io_s == about(test::alone_s(requests)));
  CHECK(o.times.latency_s() == o.times.compute_s);
}

TEST_CASE("with reads at a rate R a computation runs at BW - kappa * R") {
  const std::vector<IoRequest> requests = reads({1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  std::vector<IoRequest> many;
  for (int i = 0; i < 100; ++i) {
    many.insert(many.end(), requests.begin(), requests.end());
  }
  const double io_s = test::alone_s(many);
  const double rate = 1600 * kBlock / io_s;
  constexpr double kBandwidth = 10e9;
  constexpr double kKappa = 2.0;
  const double bytes = 0.7 * io_s * kBandwidth;  // under the reads from begin to end
  OperationGraph graph;
  graph.add(compute(bytes / kBandwidth));
  graph.add(flash(many));
  const Outcome o = run(graph, {.per_read_byte_s = kKappa / kBandwidth});
  REQUIRE(o.spans[0].end_s < o.spans[1].end_s);
  CHECK(o.times.compute_s == doctest::Approx(bytes / (kBandwidth - kKappa * rate)).epsilon(5e-3));
}

TEST_CASE("what is read while nothing is computed costs nothing") {
  const auto requests = reads({4, 1, 2});
  OperationGraph graph;
  graph.add(flash(requests));
  graph.add(compute(1e-3, {0}));
  CHECK(run(graph, {.per_read_byte_s = 1e-9, .per_host_s = 1.0}).times.latency_s() ==
        run(graph, {}).times.latency_s());
}

TEST_CASE("the phone says what contention costs, by default nothing") {
  const IoContention none = test::make<ComputeModel>("roofline", {})->io_contention();
  CHECK(none.per_read_byte_s == 0.0);
  CHECK(none.per_host_s == 0.0);
  const IoContention cost =
      test::make<ComputeModel>(
          "roofline", {}, {{"gemv_bandwidth", 40e9}, {"dram_contention", 2.0}, {"host_contention", 0.125}})
          ->io_contention();
  CHECK(cost.per_read_byte_s == about(2.0 / 40e9));
  CHECK(cost.per_host_s == 0.125);
}

/// A replay on a processor so slow that reads end under what it computes, with more rows of the phone and the
/// schedule.
PointResult replay(const std::string& phone, const std::string& schedule,
                   const std::string& device = "analytic") {
  static const test::ReplayFixture fixture;
  test::Setup setup;
  setup.clustering = "{type: kmeans, clusters: 8}";
  setup.scorer = "centroid";
  setup.phone = "{type: roofline, gemv_bandwidth: 10MB/s" + phone + "}";
  setup.schedule = "{type: dynakv" + schedule + "}";
  setup.device = device;
  return fixture.run(setup);
}

bool has_note(const PointResult& result, const std::string& note) {
  return std::ranges::find(result.notes, note) != result.notes.end();
}

TEST_CASE("results say what of contention they count and what they leave out") {
  const std::string under = ": what it costs to read under computation ";
  const PointResult free = replay("", "");
  CHECK(has_note(free, "left out" + under +
                           "(bandwidth of DRAM, the core that submits, batches that meet in the device); "
                           "hidden I/O is free"));
  const PointResult dram = replay(", dram_contention: 1", "");
  CHECK(has_note(dram, "counted" + under + "(bandwidth of DRAM)"));
  CHECK(has_note(dram, "left out" + under + "(the core that submits, batches that meet in the device)"));
  CHECK(test::total(dram, Metric::compute_s) > test::total(free, Metric::compute_s));
  CHECK(test::same_bits(dram, free, Metric::recall));
  const std::string all = ", dram_contention: 1, host_contention: 0.2";
  const PointResult queued = replay(all, ", reads_outstanding: 2");
  CHECK(has_note(queued, "left out" + under + "(batches that meet in the device)"));
  const PointResult everything = replay(all, ", reads_outstanding: 2", "queueing");
  CHECK(has_note(everything, "counted" + under +
                                 "(bandwidth of DRAM, the core that submits, batches that meet in the "
                                 "device)"));
  CHECK(std::ranges::none_of(everything.notes,
                             [](const std::string& note) { return note.starts_with("left out"); }));
}

}  // namespace
}  // namespace kvr

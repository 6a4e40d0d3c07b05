// Reading ahead: who waits for whom, and what a step takes in closed form.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "sim/engine/timing/lateness.hpp"
#include "sim/engine/timing/scheduler.hpp"
#include "tests/engine/timing/schedules.hpp"

namespace kvr {
namespace {

constexpr std::int32_t kLayers = 6;

/// A step of equal layers, each of which computes for `compute_s` and whose entries were read ahead.
class AheadStep {
 public:
  AheadStep(double compute_s, double guess_s, std::int32_t lead) : guesses_(kLayers) {
    for (std::int32_t layer = 0; layer < kLayers; ++layer) {
      guesses_[static_cast<std::size_t>(std::max(0, layer - lead))].push_back({layer, guess_s, transfers_});
    }
    for (const std::vector<GuessDemand>& guesses : guesses_) {
      layers_.push_back({.query_projection_s = 0.25 * compute_s,
                         .attention_s = 0.25 * compute_s,
                         .feed_forward_s = 0.5 * compute_s,
                         .guesses = guesses});
    }
  }

  OperationGraph lay(const std::string& type) const {
    OperationGraph graph;
    test::make<Schedule>(type, Schedule::Context{})->lay(layers_, 0.0, graph);
    return graph;
  }
  double read_s() const { return test::alone_s(reads_); }

 private:
  std::vector<IoRequest> reads_ = test::reads({3, 5, 2});
  std::vector<Transfer> transfers_ = {{.use = Use::prefetch, .from = 1, .to = 0, .requests = reads_}};
  std::vector<std::vector<GuessDemand>> guesses_;
  std::vector<LayerDemand> layers_;
};

TEST_CASE("look_ahead: where reading is quicker, a layer early, only the first layer's read is waited for") {
  const double read_s = AheadStep(1.0, 0.0, 1).read_s();
  const double compute_s = 4.0 * read_s;
  const AheadStep step(compute_s, 0.0, 1);
  const OperationGraph graph = step.lay("look_ahead");
  const test::Outcome outcome = test::run(graph);
  // A quarter of the first layer's computing lies over its read; the second's read is done before it is
  // needed.
  CHECK(outcome.times.latency_s() == doctest::Approx(kLayers * compute_s).epsilon(1e-9));
  CHECK(lateness(graph, outcome.spans).prefetches <= 1);
}

TEST_CASE("look_ahead: where reading is slower it is all that a step takes, and what follows the last") {
  const double read_s = AheadStep(1.0, 0.0, 1).read_s();
  for (const std::int32_t lead : {1, 2, 4}) {
    CAPTURE(lead);
    const double compute_s = 0.01 * read_s;
    const AheadStep step(compute_s, 0.0, lead);
    const OperationGraph graph = step.lay("look_ahead");
    const test::Outcome outcome = test::run(graph);
    CHECK(outcome.times.io_s == doctest::Approx(kLayers * read_s).epsilon(1e-6));
    CHECK(outcome.times.latency_s() >= kLayers * read_s);
    CHECK(outcome.times.latency_s() <= kLayers * (read_s + compute_s));
    const Lateness late = lateness(graph, outcome.spans);
    CHECK(late.prefetches == kLayers);
    CHECK(late.waited_s <= outcome.times.exposed_io_s + 1e-12);
    CHECK(late.waited_s >= 0.95 * outcome.times.exposed_io_s);
  }
}

TEST_CASE("look_ahead: a layer's own read is waited for, behind its projections and its scoring") {
  const std::vector<IoRequest> reads = test::reads({4});
  const std::vector<Transfer> transfers = {{.use = Use::demand, .from = 1, .to = 0, .requests = reads}};
  const LayerDemand layer{.query_projection_s = 1.0,
                          .key_value_projection_s = 2.0,
                          .score_s = 3.0,
                          .attention_s = 4.0,
                          .transfers = transfers};
  OperationGraph graph;
  test::make<Schedule>("look_ahead", Schedule::Context{})->lay({&layer, 1}, 0.5, graph);
  const test::Outcome outcome = test::run(graph);
  CHECK(outcome.times.latency_s() == doctest::Approx(10.5 + test::alone_s(reads)).epsilon(1e-12));
  CHECK(outcome.times.hidden_io_s == 0.0);
}

TEST_CASE("serial: a guess and what it reads stand before the layer that makes it, and hide nothing") {
  const AheadStep step(1.0, 0.125, 1);
  const OperationGraph graph = step.lay("serial");
  const test::Outcome outcome = test::run(graph);
  CHECK(outcome.times.latency_s() == doctest::Approx(kLayers * (1.0 + 0.125 + step.read_s())).epsilon(1e-9));
  CHECK(outcome.times.hidden_io_s == 0.0);
  const Lateness late = lateness(graph, outcome.spans);
  CHECK(late.waited_s == doctest::Approx(kLayers * step.read_s()).epsilon(1e-9));
}

TEST_CASE("every schedule lets attention wait for what was read ahead for it") {
  for (const char* type : {"look_ahead", "dynakv", "serial"}) {
    CAPTURE(type);
    const AheadStep step(1e-6, 1e-7, 2);
    const OperationGraph graph = step.lay(type);
    const test::Outcome outcome = test::run(graph);
    const auto operations = graph.operations();
    for (std::size_t p = 0; p < operations.size(); ++p) {
      if (operations[p].purpose != Purpose::prefetch) {
        continue;
      }
      for (std::size_t a = 0; a < operations.size(); ++a) {
        if (operations[a].purpose == Purpose::attention && operations[a].layer == operations[p].layer) {
          CHECK(outcome.spans[a].begin_s >= outcome.spans[p].end_s);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvr

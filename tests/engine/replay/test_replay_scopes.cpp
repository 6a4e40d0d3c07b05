// Whom a budget is divided among, and when else a stage acts: while the prompt is read, and where a head
// overflows.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <numeric>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;

/// Divides a number of entries evenly among all that it is shown, so that a head's entries say how many those
/// are.
class EvenShare final : public Budget {
 public:
  static constexpr std::string_view kName = "test_even_share";
  static constexpr std::string_view kDoc = "The same share for every head, for tests.";
  static constexpr std::string_view kSource = "ours";
  struct Params {
    std::int64_t entries = 24;
  };
  static ParamTable<Params> params() {
    return {{"entries", &Params::entries, {.doc = "entries of all heads", .min = 0, .max = 1000}}};
  }
  EvenShare(Params params, const Context&) : params_(params) {}
  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    for (std::size_t i = 0; i < heads.size(); ++i) {
      entries[i] = params_.entries / std::ssize(heads);
    }
  }

 private:
  Params params_;
};

/// Half of what a head has left, so that a head's entries say how often it was asked for.
class HalfLeft final : public Budget {
 public:
  static constexpr std::string_view kName = "test_half";
  static constexpr std::string_view kDoc = "Half of the candidates, for tests.";
  static constexpr std::string_view kSource = "ours";
  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }
  HalfLeft(Params, const Context& context) : context_(context) {}
  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    CHECK(context_.stage_layers == 1);
    for (std::size_t i = 0; i < heads.size(); ++i) {
      entries[i] = heads[i].candidates / 2;
    }
  }

 private:
  Context context_;
};

const Registration<Budget, EvenShare> registered;
const Registration<Budget, HalfLeft> registered_half;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

double chosen(const PointResult& result, std::int64_t layer) {
  for (std::int64_t head = 0; head < 2; ++head) {
    CHECK(result.data.at(Metric::selected_entries, 7, layer, head) ==
          result.data.at(Metric::selected_entries, 7, layer, 0));
  }
  return result.data.at(Metric::selected_entries, 7, layer, 0);
}

TEST_CASE("a stage that selects divides its budget by head, layer or all layers up to its own") {
  const auto run = [](const char* scope, bool together) {
    Setup setup;
    setup.selects = false;
    setup.heads_together = together;
    setup.stages_before = fmt::format(
        "{{scorer: exact, budget: test_even_share, scope: {}, pins: {{sinks: 2, "
        "recent: 5}}}}",
        scope);
    return fixture().run(setup);
  };
  CHECK(chosen(run("head", false), 0) == 24.0);
  CHECK(chosen(run("layer", false), 0) == 12.0);
  CHECK(chosen(run("layer", false), 1) == 12.0);
  CHECK(chosen(run("layers_seen", false), 0) == 12.0);
  CHECK(chosen(run("layers_seen", false), 1) == 6.0);
  CHECK(chosen(run("layer", true), 1) == 24.0);
  CHECK(chosen(run("layers_seen", true), 1) == 12.0);
}

TEST_CASE("a scope across the batch has the heads of all sequences") {
  for (const auto& [across, entries] : {std::pair{"sequence", 12.0}, std::pair{"batch", 4.0}}) {
    CAPTURE(std::string(across));
    Setup setup;
    setup.selects = false;
    setup.workload = "{sequences: [{}, {offset: 1}, {offset: 2}]}";
    setup.steps = 10;
    setup.stages_before = fmt::format(
        "{{scorer: exact, budget: test_even_share, scope: layer, across: {}, pins: {{sinks: 2, recent: 5}}}}",
        across);
    CHECK(chosen(fixture().run(setup), 1) == entries);
  }
}

/// Entries that are left of the prompt of 65, without pins, by layer; of the step that follows.
std::vector<double> left(const std::string& when, const std::string& scope, const std::string& budget) {
  Setup setup;
  setup.selects = false;
  setup.check = "every_step";
  setup.stages_before = fmt::format(
      "{{when: {}, effect: evict, units: token, scorer: exact, budget: {}, scope: {}, pins: {{sinks: 0, "
      "recent: "
      "0}}}}",
      when, budget, scope);
  const PointResult result = fixture().run(setup);
  std::vector<double> entries;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    entries.push_back(result.data.at(Metric::attended_entries, 0, layer, 0) - 1.0);  // the current one
  }
  return entries;
}

TEST_CASE("a stage that evicts at the prompt's end has seen all layers") {
  CHECK(left("prefill_end", "head", "test_even_share") == std::vector<double>{24.0, 24.0});
  CHECK(left("prefill_end", "layer", "test_even_share") == std::vector<double>{12.0, 12.0});
  CHECK(left("prefill_end", "layers_seen", "test_even_share") == std::vector<double>{6.0, 6.0});
  CHECK(left("prefill_end", "model", "test_even_share") == std::vector<double>{6.0, 6.0});
}

TEST_CASE("while the prompt is read a stage acts again and again, on all layers that were read by then") {
  // After layer 0 it has 2 heads to itself, 12 entries each; after layer 1 four share what is left.
  CHECK(left("layer_end", "layers_seen", "test_even_share") == std::vector<double>{6.0, 6.0});
  CHECK(left("layer_end, every: 2", "layers_seen", "test_even_share") == std::vector<double>{6.0, 6.0});
  CHECK(left("layer_end", "layer", "test_even_share") == std::vector<double>{12.0, 12.0});
  // 40 entries by head after each firing: the second removes nothing of layer 0 any more.
  CHECK(left("layer_end", "head", "{type: test_even_share, entries: 40}") == std::vector<double>{40.0, 40.0});
}

TEST_CASE("while the prompt is read a stage of some layers acts once when they were read, not after others") {
  CHECK(left("layer_end, layers: 0", "layers_seen", "test_half") == std::vector<double>{32.0, 65.0});
  CHECK(left("layer_end, layers: 1", "layers_seen", "test_half") == std::vector<double>{65.0, 32.0});
}

TEST_CASE("a pool over the model keeps as much of it as heads each would, divided by score") {
  Setup setup;
  setup.selects = false;
  setup.stages_before =
      "{when: prefill_end, effect: evict, units: token, scorer: exact, norm: softmax, budget: {type: pooled, "
      "entries: 15, safeguard: 0.2}, scope: model, pins: {sinks: 0, recent: 0}}";
  const PointResult result = fixture().run(setup);
  double kept = 0.0;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    for (std::int64_t head = 0; head < 2; ++head) {
      const double entries = result.data.at(Metric::attended_entries, 0, layer, head) - 1.0;
      CHECK(entries >= 3.0);
      kept += entries;
    }
  }
  CHECK(kept == doctest::Approx(60.0).epsilon(2.0 / 60.0));
}

TEST_CASE("a stage with an overflow acts on the heads that have more, and leaves those alone that have not") {
  Setup setup;
  setup.selects = false;
  setup.check = "every_step";
  setup.stages_before =
      "{effect: evict, overflow: 80, units: token, scorer: position, budget: {type: fixed, entries: 0}, "
      "pins: "
      "{sinks: 2, recent: 38}}";
  const PointResult result = fixture().run(setup);
  // 66 in the first step, 80 in the 15th; the 81st entry of the 16th leaves 40, which grow again.
  for (std::int64_t step = 0; step < 40; ++step) {
    const double expected = static_cast<double>(step <= 15 ? 66 + step : 40 + (step - 15));
    CHECK(result.data.at(Metric::attended_entries, step, 0, 0) == expected);
  }
}

/// Live entries of each step and head where the newest 40 are left once a scope holds more of `tier` than its
/// share of the bytes, of 4 heads.
std::vector<double> live_over(const std::string& scope, const std::string& tier, std::int64_t bytes) {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = 1 << 20;
  setup.check = "every_step";
  setup.stages_before = fmt::format(
      "{{effect: evict, overflow: {{tier: {}, bytes: {}B}}, scope: {}, units: token, scorer: position, "
      "budget: "
      "{{type: fixed, entries: 0}}, pins: {{sinks: 2, recent: 38}}}}",
      tier, bytes, scope);
  const PointResult result = fixture().run(setup);
  std::vector<double> live;
  for (std::int64_t step = 0; step < 40; ++step) {
    live.push_back(result.data.at(Metric::retained, step, 1, 1) * static_cast<double>(66 + step));
  }
  return live;
}

TEST_CASE("an overflow of a tier counts the bytes there of a head, a layer or the model") {
  for (const char* scope : {"head", "layer", "model"}) {
    CAPTURE(scope);
    const std::vector<double> live = live_over(scope, "flash", 80 * 4 * test::kEntryBytes);
    std::int64_t expected = 65;
    for (std::int64_t step = 0; step < 40; ++step) {  // as it is attended to, before the stage acts
      ++expected;
      CHECK(live[static_cast<std::size_t>(step)] == doctest::Approx(static_cast<double>(expected)));
      expected = expected > 80 ? 40 : expected;
    }
    // Caches never hold so much: 10 entries are demanded in a step.
    const std::vector<double> never = live_over(scope, "dram", 105 * 4 * test::kEntryBytes);
    CHECK(never.back() == doctest::Approx(105.0));
    CHECK(live_over(scope, "dram", 1).back() == doctest::Approx(41.0));
  }
}

TEST_CASE("moments and scopes that cannot be are refused") {
  Setup setup;
  setup.selects = false;
  setup.stages_before =
      "{when: [layer_end, step], effect: evict, scorer: exact, budget: fixed}, {scope: model, overflow: 3, "
      "scorer: "
      "exact, budget: fixed}, {when: layer_end, scorer: exact, budget: fixed}";
  const std::string text = fixture().error_of(setup);
  for (const char* what :
       {"system.stages.0.when: a stage that acts while the prompt is read acts then alone; allowed: "
        "layer_end",
        "system.stages.0.units: before the prompt has been read there are no units; allowed: token",
        "system.stages.1.overflow: 3 for a stage that selects, which acts on all heads; allowed: 0",
        "system.stages.1.scope: in a step later layers are not known; allowed: head, layer, layers_seen",
        "system.stages.2.when: a stage that selects acts in steps alone; allowed: step"}) {
    CHECK_MESSAGE(text.find(what) != std::string::npos, what, " is not in ", text);
  }
}

TEST_CASE("a scope that a budget cannot divide among is refused where the stage says it") {
  Setup setup;
  setup.selects = false;
  setup.stages_before =
      "{when: layer_end, effect: evict, units: token, scorer: exact, budget: dynamickv, scope: layer}";
  const std::string text = fixture().error_of(setup);
  CHECK_MESSAGE(text.find("system.stages.0.scope: budget 'dynamickv'") != std::string::npos, text);
}

}  // namespace
}  // namespace kvr

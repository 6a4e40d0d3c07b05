// Budgets that follow from scores and attention: what holds of any eviction holds of those whose number no
// one gives, on a synthetic trace with classes of tokens.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <vector>

#include "sim/engine/replay.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;
using test::values;

trace::SynthOptions classed_trace() {
  trace::SynthOptions options = test::small_trace();
  options.punctuation = 0.2;
  options.prompt_window = 32;
  return options;
}

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made(classed_trace());
  return made;
}

Setup evicting(const std::string& stage) {
  Setup setup;
  setup.selects = false;
  setup.tiers = "[{name: dram}]";
  setup.check = "every_step";
  setup.stages_before = stage;
  return setup;
}

std::string hits(std::int64_t window, std::int64_t recent, const std::string& budget = "{type: at_least}") {
  return fmt::format(
      "{{when: [prefill_end, step], effect: evict, units: token, fold: max, scorer: {{type: recent_hits, "
      "window: {}}}, budget: {}, pins: {{sinks: 0, recent: {}}}}}",
      window, budget, recent);
}

std::string norm_drop(double drop) {
  return fmt::format(
      "{{when: prefill_end, effect: evict, units: token, scorer: position, scope: layer, budget: {{type: "
      "norm_drop, drop: {}}}, pins: {{sinks: 4, recent: 0}}}}",
      drop);
}

TEST_CASE("U1: where everything scores enough all is live, and attention is that over all entries") {
  for (const std::string& stage : {hits(4, 0, "{type: at_least, score: 0}"), hits(1000, 0), norm_drop(0.0)}) {
    CAPTURE(stage);
    const PointResult result = fixture().run(evicting(stage));
    CHECK(smallest(result, Metric::retained) == 1.0);
    CHECK(largest(result, Metric::output_error) <= 1e-5);
  }
}

TEST_CASE(
    "U2, U3: a head holds no more than its cap, pins and the current entry, and what is gone stays gone") {
  const PointResult capped = fixture().run(evicting(hits(4, 6, "{type: at_least, most: 9}")));
  CHECK(largest(capped, Metric::attended_entries) <= 9 + 6 + 1);
  const PointResult result = fixture().run(evicting(hits(4, 6)));
  CHECK(smallest(result, Metric::retained) < 0.9);
  for (std::int64_t step = 1; step < result.data.steps(); ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      for (std::int64_t head = 0; head < 2; ++head) {
        CHECK(result.data.at(Metric::attended_entries, step, layer, head) <=
              result.data.at(Metric::attended_entries, step - 1, layer, head) + 1.0);
      }
    }
  }
}

TEST_CASE("U4: more drop, and a window of fewer queries at the prompt's end, never leave more attention") {
  double before = 2.0;
  for (const double drop : {0.0, 0.02, 0.1, 0.3, 0.6}) {
    CAPTURE(drop);
    const PointResult result = fixture().run(evicting(norm_drop(drop)));
    const double mass = result.data.at(Metric::retained_mass, 0, 1, 1);
    CHECK(mass <= before + 1e-12);
    before = mass;
    // One number a layer, for both of its heads.
    CHECK(result.data.at(Metric::retained, 0, 0, 0) == result.data.at(Metric::retained, 0, 0, 1));
  }
  CHECK(before < 1.0);
  before = 2.0;
  for (const std::int64_t window : {9, 5, 2, 1}) {
    CAPTURE(window);
    const double mass = fixture().run(evicting(hits(window, 0))).data.at(Metric::retained_mass, 0, 0, 1);
    CHECK(mass <= before + 1e-12);
    before = mass;
  }
}

TEST_CASE("U6: nothing depends on threads, and the same again is the same") {
  for (const std::string& stage : {hits(4, 6), norm_drop(0.1)}) {
    CAPTURE(stage);
    Setup setup = evicting(stage);
    const PointResult result = fixture().run(setup);
    CHECK(test::same_bits(result, fixture().run(setup)));
    setup.threads = 3;
    CHECK(test::same_bits(result, fixture().run(setup)));
  }
}

TEST_CASE("U10: a prompt of one token or shorter than the window, no pins, and a budget of nothing") {
  for (const std::int64_t prompt : {1, 3}) {
    CAPTURE(prompt);
    trace::SynthOptions options = classed_trace();
    options.prompt = prompt;
    options.sinks = 1;
    options.prompt_window = prompt;
    options.steps = 12;
    const test::ReplayFixture tiny(options);
    const std::string few =
        fmt::format("scorer: {{type: recent_hits, window: 5, prompt_queries: {}}}", prompt);
    for (const std::string& stage : {"{when: [prefill_end, step], effect: evict, units: token, fold: max, " +
                                         few + ", budget: {type: at_least}, pins: {sinks: 0, recent: 0}}",
                                     norm_drop(0.5)}) {
      CAPTURE(stage);
      const PointResult result = tiny.run(evicting(stage));
      CHECK(smallest(result, Metric::attended_entries) >= 1.0);
      for (const double error : values(result, Metric::output_error)) {
        CHECK(std::isfinite(error));
      }
    }
  }
  // Recent 0 and a score that nothing has: the current entry alone, not everything.
  Setup setup = evicting(
      "{when: step, effect: evict, units: token, scorer: position, budget: {type: at_least, score: 1000}, "
      "pins: {sinks: 0, recent: 0}}");
  const PointResult none = fixture().run(setup);
  CHECK(none.data.at(Metric::attended_entries, none.data.steps() - 1, 1, 1) == 1.0);
}

TEST_CASE("what is pinned counts for no one else: a budget by score lets in nothing that scores too little") {
  // Positions from 40 on score enough, the last 30 of which are pinned.
  Setup setup = evicting(
      "{when: prefill_end, effect: evict, units: token, scorer: position, budget: {type: at_least, score: "
      "40}, "
      "pins: {sinks: 2, recent: 20}}");
  CHECK(fixture().run(setup).data.at(Metric::attended_entries, 0, 0, 0) == 2 + 25 + 1);
}

TEST_CASE("a trace without classes, or without queries of its prompt, is refused with who needs them") {
  const test::ReplayFixture plain;
  const std::string profile =
      "{when: [prefill_end, step], effect: evict, units: token, scorer: head_profile, budget: at_least, "
      "pins: "
      "{sinks: 0, recent: 0}}";
  const std::string error = plain.error_of(evicting(profile));
  CHECK(error.find("has no token_class, which a policy of") != std::string::npos);
  CHECK(error.find("kvreplay-token-classes adds it") != std::string::npos);
  CHECK(error.find("layer 0 has no prompt_attention_sums") != std::string::npos);
  CHECK(fixture().error_of(evicting(profile)).find("token_class") == std::string::npos);
  trace::SynthOptions options = test::small_trace();
  options.prompt_window = 0;
  CHECK(
      test::ReplayFixture(options).error_of(evicting(norm_drop(0.1))).find("has the queries of the last 0") !=
      std::string::npos);
}

}  // namespace
}  // namespace kvr

// Keys rotated by their place among the live entries: where nothing moves nothing changes. Where something
// does, numpy says what in tests/python/test_slot_positions_peer.py.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// What is kept of the prompt and in every third step, and whether slots count.
Setup evicting(const std::string& stage, const std::string& positions) {
  Setup setup;
  setup.selects = false;
  setup.stages_before =
      fmt::format("{{when: [prefill_end, step], every: 3, effect: evict, units: token, {}}}", stage);
  setup.layout = "token_order\n  positions: " + positions;
  setup.check = "every_step";
  return setup;
}

std::string window(std::int64_t sinks) {
  return fmt::format("scorer: position, budget: {{type: fixed, entries: 0}}, pins: {{sinks: {}, recent: 30}}",
                     sinks);
}

const std::string kScattered =
    "scorer: exact, budget: {type: fixed, entries: 20}, pins: {sinks: 0, recent: 10}";

TEST_CASE("slots are positions where nothing is removed, and where all that is removed comes first") {
  Setup slot;
  slot.layout = "token_order\n  positions: slot";
  CHECK(test::same_bits(fixture().run(slot), fixture().run(Setup())));
  const auto outputs_differ = [](const std::string& stage) {
    const PointResult absolute = fixture().run(evicting(stage, "absolute"));
    const PointResult moved = fixture().run(evicting(stage, "slot"));
    CHECK(test::same_bits(moved, absolute, Metric::retained_mass) == (stage != kScattered));
    CHECK(total(moved, Metric::policy_s) > total(absolute, Metric::policy_s));
    return !test::same_bits(moved, absolute, Metric::output_error);
  };
  CHECK_FALSE(outputs_differ(window(0)));
  CHECK(outputs_differ(window(2)));
  CHECK(outputs_differ(kScattered));
}

TEST_CASE("stages rank keys where they have moved to, on any number of threads") {
  Setup setup = evicting(window(9), "slot");
  setup.selects = true;
  const PointResult one = fixture().run(setup);
  setup.threads = 3;
  CHECK(test::same_bits(one, fixture().run(setup)));
  setup.layout = "token_order";
  CHECK_FALSE(test::same_bits(one, fixture().run(setup), Metric::mass));
}

TEST_CASE("heads that decide together keep their positions") {
  Setup setup = evicting(window(2), "slot");
  setup.heads_together = true;
  const std::string text = fixture().error_of(setup);
  const char* what =
      "system.positions: slot for heads that decide together; allowed: absolute, or heads: each";
  CHECK_MESSAGE(text.find(what) != std::string::npos, text);
}

}  // namespace
}  // namespace kvr

// Pages that are guessed a step ahead, right as often as `accuracy` says, over two memories below the first
// tier: what is missed, what comes up in vain, what each tier holds and each link moves.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::kHeads;
using test::Setup;
using test::total;

constexpr std::int64_t kBudget = 16;  // two pages of 8, of 8 to 13
constexpr std::int64_t kFirstEntries = 60;
constexpr double kNear_bytes_per_s = 10e9;
constexpr double kFar_bytes_per_s = 2e9;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

std::string select() {
  return fmt::format(
      "{{scorer: box_bound, budget: {{type: fixed, entries: {}}}, pins: {{sinks: 0, recent: 0}}}}", kBudget);
}

std::string guess(const std::string& queries, const std::string& scorer, std::int64_t entries = kBudget) {
  return fmt::format(
      "{{name: guess, effect: prefetch, queries: {}, lead: {{steps: 1}}, scorer: {}, budget: {{type: fixed, "
      "entries: {}}}}}, ",
      queries, scorer, entries);
}

std::string right_by(double accuracy) {
  return fmt::format("{{type: box_guess, accuracy: {}}}", accuracy);
}

/// The first tier, one that takes `near_bytes` of what that evicts, and one that holds everything.
std::string tiers(std::int64_t near_bytes) {
  return fmt::format(
      "[{{name: hbm}}, {{name: near, bandwidth: {}B/s, latency: 1us, capacity: {}B, copies: exclusive}}, "
      "{{name: far, bandwidth: {}B/s, latency: 2us}}]",
      kNear_bytes_per_s, near_bytes, kFar_bytes_per_s);
}

Setup pages(const std::string& guess_stage) {
  Setup setup;
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.selects = false;
  setup.stages_before = guess_stage + select();
  setup.replacement = "lru";
  setup.cache_bytes = kFirstEntries * kEntryBytes;
  setup.tiers = tiers(100 * kEntryBytes);
  setup.schedule = "look_ahead";
  setup.check = "every_step";
  return setup;
}

double missed_bytes(const PointResult& result) {
  return total(result, Metric::demanded_bytes) - total(result, Metric::hit_bytes);
}

double coverage(const PointResult& result) {
  return total(result, Metric::rightly_guessed_bytes) / missed_bytes(result);
}

double precision(const PointResult& result) {
  return total(result, Metric::rightly_guessed_bytes) / total(result, Metric::guessed_bytes);
}

/// What a guess may not change: what is attended to, asked of every tier, found there and evicted.
void check_same_demand(const PointResult& a, const PointResult& b) {
  for (const Metric metric :
       {Metric::recall, Metric::mass, Metric::output_error, Metric::demanded_bytes, Metric::hit_bytes,
        Metric::hit_units, Metric::tier_asked_bytes, Metric::tier_hit_bytes, Metric::tier_down_bytes,
        Metric::tier_held_bytes, Metric::cache_bytes}) {
    CAPTURE(info(metric).name);
    CHECK(test::same_bits(a, b, metric));
  }
}

TEST_CASE("a guess that is always right exposes no miss if as much is guessed as is needed") {
  const PointResult none = fixture().run(pages(""));
  const PointResult right = fixture().run(pages(guess("oracle", right_by(1.0))));
  check_same_demand(right, none);
  CHECK(missed_bytes(right) > 0.0);
  CHECK(total(right, Metric::rightly_guessed_bytes) == missed_bytes(right));
  CHECK(total(right, Metric::guessed_bytes) == missed_bytes(right));
  CHECK(total(none, Metric::critical_tier_read_s) > 0.0);
  CHECK(total(right, Metric::critical_tier_read_s) == 0.0);
  CHECK(total(right, Metric::latency_s) < total(none, Metric::latency_s));
  // Links that take no time leave what computing alone takes: nothing waits for a guess.
  Setup fast = pages(guess("oracle", right_by(1.0)));
  fast.tiers =
      "[{name: hbm}, {name: near, bandwidth: 1000000GB/s, capacity: 6400B, copies: exclusive}, {name: far, "
      "bandwidth: 1000000GB/s}]";
  const PointResult hidden = fixture().run(fast);
  CHECK(total(hidden, Metric::latency_s) == doctest::Approx(total(hidden, Metric::compute_s)).epsilon(1e-3));
  // Half the depth leaves what it does not reach.
  const PointResult shallow = fixture().run(pages(guess("oracle", right_by(1.0), kBudget / 2)));
  CHECK(precision(shallow) == 1.0);
  CHECK(coverage(shallow) < 1.0);
  CHECK(total(shallow, Metric::critical_tier_read_s) > 0.0);
}

TEST_CASE("a guess that is never right asks for what no guess does, and moves in vain what it guessed") {
  const PointResult none = fixture().run(pages(""));
  const PointResult wrong = fixture().run(pages(guess("oracle", right_by(0.0))));
  check_same_demand(wrong, none);
  CHECK(total(wrong, Metric::rightly_guessed_bytes) == 0.0);
  CHECK(total(wrong, Metric::guessed_bytes) > 0.0);
  CHECK(total(wrong, Metric::tier_up_bytes) - total(none, Metric::tier_up_bytes) ==
        total(wrong, Metric::guessed_bytes));
  CHECK(total(wrong, Metric::latency_s) >= total(none, Metric::latency_s));
}

TEST_CASE("guesses come true as often as the accuracy says, and the more, the higher it is") {
  double before = -1.0;
  for (const double accuracy : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    CAPTURE(accuracy);
    Setup setup = pages(guess("oracle", right_by(accuracy)));
    setup.replacement = "none";
    setup.cache_bytes = 0;
    const PointResult result = fixture().run(setup);
    const double pages_chosen = static_cast<double>(kHeads * result.data.steps() * kBudget / 8);
    const double deviation = std::sqrt(accuracy * (1.0 - accuracy) / pages_chosen);
    CHECK(std::abs(coverage(result) - accuracy) <= 4.0 * deviation + 1e-12);
    CHECK(precision(result) >= before);
    before = precision(result);
    setup.threads = 3;
    CHECK(test::same_bits(result, fixture().run(setup)));
  }
  const PointResult last = fixture().run(pages(guess("last_step", "box_bound")));
  CHECK(precision(last) > 0.0);
  CHECK(precision(last) < 1.0);
}

TEST_CASE("hints for entries that do not exist yet are no guess: not a byte more, and no time less") {
  const PointResult none = fixture().run(pages(""));
  const PointResult literal = fixture().run(pages(guess("last_step", "position", 0)));
  check_same_demand(literal, none);
  CHECK(total(literal, Metric::guessed_bytes) == 0.0);
  CHECK(test::same_bits(literal, none, Metric::tier_up_bytes));
  CHECK(total(literal, Metric::latency_s) >= total(none, Metric::latency_s));
}

TEST_CASE("where attention is dense every guess is right, also one that is never right") {
  for (const double accuracy : {0.0, 1.0}) {
    Setup setup = pages(guess("oracle", right_by(accuracy)));
    setup.stages_before = setup.stages_before.substr(0, setup.stages_before.find(", {scorer"));
    const PointResult result = fixture().run(setup);
    CHECK(total(result, Metric::guessed_bytes) > 0.0);
    CHECK(precision(result) == 1.0);
    CHECK(coverage(result) < 1.0);
  }
}

TEST_CASE("an exclusive tier holds what came down and did not go up again, and no page of the tier above") {
  for (const double accuracy : {0.5, 1.0}) {
    Setup setup = pages(guess("oracle", right_by(accuracy)));
    const auto held = [](const PointResult& result, std::int64_t step) {
      return result.data.at_tier(Metric::tier_held_bytes, step, 0);
    };
    setup.tiers = tiers(1000 * kEntryBytes);  // room for all, so that nothing leaves it but upwards
    const PointResult roomy = fixture().run(setup);
    for (std::int64_t step = 1; step < roomy.data.steps(); ++step) {
      CAPTURE(step);
      CHECK(held(roomy, step) == held(roomy, step - 1) +
                                     roomy.data.at_tier(Metric::tier_down_bytes, step, 0) -
                                     roomy.data.at_tier(Metric::tier_hit_bytes, step, 0));
      // What was read once is in one of the two, so that both together never hold less.
      CHECK(held(roomy, step) + roomy.data.at(Metric::cache_bytes, step) >=
            held(roomy, step - 1) + roomy.data.at(Metric::cache_bytes, step - 1));
    }
    setup.tiers = tiers(30 * kEntryBytes);
    const PointResult tight = fixture().run(setup);  // every_step checks what is in two
    for (std::int64_t step = 1; step < tight.data.steps(); ++step) {
      CHECK(held(tight, step) <= 30.0 * kEntryBytes);
      CHECK(held(tight, step) <= held(tight, step - 1) +
                                     tight.data.at_tier(Metric::tier_down_bytes, step, 0) -
                                     tight.data.at_tier(Metric::tier_hit_bytes, step, 0));
    }
  }
}

TEST_CASE(
    "a tier that keeps nothing changes nothing: three tiers do what two do, and over flash the default") {
  const std::string empty =
      "{name: near, bandwidth: 10GB/s, latency: 1us, capacity: 6400B, copies: exclusive, replacement: none}";
  for (const char* last : {"{name: far, bandwidth: 2GB/s, latency: 2us}", "{name: flash}"}) {
    for (const std::string& guessed : {std::string(), guess("oracle", right_by(0.5))}) {
      CAPTURE(std::string(last));
      Setup three = pages(guessed);
      three.tiers = fmt::format("[{{name: hbm}}, {}, {}]", empty, last);
      Setup two = pages(guessed);
      two.tiers = std::string(last) == "{name: flash}" ? "[]" : fmt::format("[{{name: hbm}}, {}]", last);
      const PointResult with = fixture().run(three);
      const PointResult without = fixture().run(two);
      CHECK(test::largest(with, Metric::tier_held_bytes) == 0.0);
      for (const Metric metric :
           {Metric::recall, Metric::hit_units, Metric::demanded_bytes, Metric::guessed_bytes,
            Metric::read_bytes, Metric::read_requests, Metric::cache_bytes, Metric::output_error}) {
        CAPTURE(info(metric).name);
        CHECK(test::same_bits(with, without, metric));
      }
      // What flash gives goes over the links of all memory above it; memory has a link of its own.
      CHECK(test::same_bits(with, without, Metric::latency_s) == (two.tiers != "[]"));
    }
  }
}

TEST_CASE("no link moves more than its bandwidth allows while it is busy") {
  for (const double accuracy : {0.0, 0.5, 1.0}) {
    Setup setup = pages(guess("oracle", right_by(accuracy)));
    for (const char* codec : {"fp16", "int8_delta_rle", "{type: int8_delta_rle, runs: packed}"}) {
      setup.codec = codec;
      CAPTURE(codec);
      const PointResult result = fixture().run(setup);
      for (std::int64_t step = 0; step < result.data.steps(); ++step) {
        const double busy_s = result.data.at(Metric::link_s, step);
        const auto needed_s = [&](std::int64_t tier, double bytes_per_s) {
          return (result.data.at_tier(Metric::tier_up_bytes, step, tier) +
                  result.data.at_tier(Metric::tier_down_bytes, step, tier)) /
                 bytes_per_s;
        };
        CHECK(needed_s(0, kNear_bytes_per_s) <= busy_s);
        CHECK(needed_s(1, kFar_bytes_per_s) <= busy_s);
        CHECK(busy_s <= result.data.at(Metric::latency_s, step));
      }
    }
  }
}

}  // namespace
}  // namespace kvr

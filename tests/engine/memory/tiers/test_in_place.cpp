// Tiers that attention reads where entries are, and stages that say what belongs in the first: what lies
// where against a plain reference, and what a step takes in closed form.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/engine/point_replay.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::Setup;
using test::total;

constexpr double kFirst_bytes_per_s = 1e6;
constexpr double kSecond_bytes_per_s = 2e6;
constexpr double kLatency_s = 3e-6;
constexpr std::int64_t kHeadsOfLayer = 2;
constexpr std::int64_t kPlaced = 30;
constexpr std::int64_t kEvery = 4;

const test::ReplayFixture& one_layer() {
  static const test::ReplayFixture made([] {
    trace::SynthOptions options = test::small_trace();
    options.layers = 1;
    return options;
  }());
  return made;
}

const test::ReplayFixture& two_layers() {
  static const test::ReplayFixture made;
  return made;
}

/// The newest entries belong in the first tier, from the prompt's end on, and anew after every few steps.
std::string placing(std::int64_t entries = kPlaced) {
  return fmt::format(
      "{{when: [prefill_end, step], every: {}, effect: place, tier: hbm, units: token, scorer: position, "
      "budget: {{type: fixed, entries: {}}}, pins: {{sinks: 0, recent: 0}}}}",
      kEvery, entries);
}

Setup selecting() {
  Setup setup;
  setup.sinks = 0;
  setup.recent = 0;
  setup.budget = "{type: fixed, entries: 20}";
  setup.replacement = "lru";
  setup.cache_bytes = 1 << 20;
  setup.check = "every_step";
  return setup;
}

Setup in_place() {
  Setup setup = selecting();
  setup.tiers = fmt::format(
      "[{{name: hbm, bandwidth: {}B/s, access: in_place}}, {{name: ext, bandwidth: {}B/s, latency: 3us, "
      "access: in_place}}]",
      kFirst_bytes_per_s, kSecond_bytes_per_s);
  setup.stages_before = placing();
  return setup;
}

/// [steps]: the entries that heads demand, as (head, entry).
std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> demands() {
  const RunConfig config = one_layer().config(selecting());
  const trace::Reader trace(one_layer().trace_path());
  const trace::Reader* const traces[] = {&trace};
  BatchWalk walk(config, traces);
  AccessRecord accesses;
  PointReplay replay(config, walk, &accesses);
  const std::vector<std::int64_t>& sequences = walk.timetable().begin;
  walk.enter_prompt(sequences);
  replay.load_prompt(sequences);
  std::vector<std::vector<std::pair<std::int64_t, std::int64_t>>> demanded;
  std::size_t before = 0;
  for (std::int64_t step = 0; step < walk.steps(); ++step) {
    walk.enter(sequences);
    replay.step_policies(step);
    auto& of_step = demanded.emplace_back();
    for (const CacheObject& object : accesses.of(0).subspan(before)) {
      of_step.emplace_back(object.head, object.unit);
    }
    before = accesses.of(0).size();
  }
  return demanded;
}

TEST_CASE("two tiers in place: a step's selection is split by what was placed, and the slower part decides") {
  const PointResult result = one_layer().run(in_place());
  const auto demanded = demands();
  REQUIRE(std::ssize(demanded) == result.data.steps());
  constexpr std::int64_t kPrompt = 65;
  std::int64_t newest = kPrompt - 1;  // when entries were placed last
  std::int64_t first_decides = 0;
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CAPTURE(step);
    std::int64_t second = 0;
    for (const auto& [head, entry] : demanded[static_cast<std::size_t>(step)]) {
      second += entry > newest - kPlaced && entry <= newest ? 0 : 1;
    }
    const std::int64_t all = std::ssize(demanded[static_cast<std::size_t>(step)]) + kHeadsOfLayer;
    const double first_s = static_cast<double>((all - second) * kEntryBytes) / kFirst_bytes_per_s;
    const double second_s = static_cast<double>(second * kEntryBytes) / kSecond_bytes_per_s;
    CHECK(result.data.at(Metric::critical_attention_s, step) ==
          doctest::Approx(std::max(first_s, second_s)).epsilon(1e-9));
    first_decides += first_s > second_s ? 1 : 0;

    const auto of_second = [&](Metric metric) {
      return result.data.at_tier(metric, step, 0) / double{kEntryBytes};
    };
    CHECK(of_second(Metric::tier_asked_bytes) == static_cast<double>(second));
    CHECK(of_second(Metric::tier_hit_bytes) == static_cast<double>(second));
    CHECK(of_second(Metric::tier_down_bytes) == double{kHeadsOfLayer});  // the new ones
    // Of the newest entries the current one is there; the others since the last time come up.
    const bool places = (step + 1) % kEvery == 0;
    const std::int64_t moved = places ? kHeadsOfLayer * (kEvery - 1) : 0;
    CHECK(of_second(Metric::tier_up_bytes) == static_cast<double>(moved));
    const double moved_s =
        places ? kLatency_s + static_cast<double>(moved * kEntryBytes) / kSecond_bytes_per_s : 0.0;
    CHECK(result.data.at(Metric::critical_placement_s, step) == doctest::Approx(moved_s).epsilon(1e-9));
    CHECK(result.data.at(Metric::critical_tier_read_s, step) == 0.0);
    CHECK(result.data.at(Metric::cache_bytes, step) == double{kHeadsOfLayer * kPlaced * kEntryBytes});
    newest = places ? kPrompt + step : newest;
  }
  CHECK(first_decides > 0);
  CHECK(first_decides < result.data.steps());
}

TEST_CASE("where entries lie changes nothing of quality, nor what heads demand") {
  for (const std::string& tiers : std::vector<std::string>{
           "[{name: hbm}, {name: ext, bandwidth: 1GB/s}]",
           "[{name: hbm}, {name: ext, bandwidth: 1GB/s, access: in_place}]",
           "[{name: hbm}, {name: m, bandwidth: 1GB/s, capacity: 4000B, copies: exclusive, access: in_place}, "
           "{name: far, bandwidth: 100MB/s}]",
           "[{name: hbm}, {name: m, bandwidth: 1GB/s, capacity: 4000B, access: in_place}, {name: flash}]",
           "[{name: hbm}, {name: m, bandwidth: 1GB/s, capacity: 4000B, copies: exclusive}, {name: far, "
           "bandwidth: 100MB/s, access: in_place}]",
           "[{name: hbm}, {name: flash}]"}) {
    CAPTURE(tiers);
    double placing_s = 0.0;  // none where new entries join units that are there
    for (const std::string& clustering :
         {std::string("token"), std::string("{type: page, page_tokens: 8}"),
          std::string("{type: kmeans, entries_per_cluster: 7}"),
          fmt::format("{{type: {}, max_members: 5, buffer_every: 3}}", test::kSplitting)}) {
      CAPTURE(clustering);
      Setup setup = selecting();
      setup.clustering = clustering;
      const PointResult without = two_layers().run(setup);
      setup.tiers = tiers;
      setup.cache_bytes = 150 * kEntryBytes;
      setup.stages_before = placing(20);
      setup.schedule = clustering == "token" ? "look_ahead" : "serial";
      const PointResult result = two_layers().run(setup);
      if (clustering.find(test::kSplitting) == std::string::npos) {  // which looks at what is resident
        for (const Metric metric : {Metric::recall, Metric::output_error, Metric::demanded_bytes}) {
          CHECK(test::same_bits(result, without, metric));
        }
      }
      placing_s += total(result, Metric::critical_placement_s);
      setup.threads = 3;
      CHECK(test::same_bits(result, two_layers().run(setup)));
    }
    CHECK(placing_s > 0.0);
  }
}

TEST_CASE("what is displaced goes down to an exclusive tier, over its link") {
  Setup setup = selecting();
  setup.selects = false;
  setup.tiers =
      "[{name: hbm}, {name: m, bandwidth: 1GB/s, latency: 2us, capacity: 1MiB, copies: exclusive, access: "
      "in_place}, {name: far, bandwidth: 100MB/s, access: in_place}]";
  setup.stages_before = placing();
  const PointResult result = one_layer().run(setup);
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CAPTURE(step);
    // The oldest of those that were placed leave, as many as come.
    const std::int64_t moved = (step + 1) % kEvery == 0 ? kHeadsOfLayer * kEvery : 0;
    CHECK(result.data.at_tier(Metric::tier_down_bytes, step, 0) == static_cast<double>(moved * kEntryBytes));
    const std::int64_t below = (step + 1) / kEvery * kHeadsOfLayer * kEvery;
    CHECK(result.data.at_tier(Metric::tier_held_bytes, step, 0) == static_cast<double>(below * kEntryBytes));
  }
}

TEST_CASE("what cannot be placed or read in place is refused") {
  Setup setup = in_place();
  setup.replacement = "none";
  CHECK(one_layer().error_of(setup).find("system.replacement: 'none' keeps nothing that a stage places") !=
        std::string::npos);
  setup = in_place();
  setup.tiers = "[{name: hbm}]";
  CHECK(one_layer().error_of(setup).find("system.stages.0.effect: 'hbm' has all entries") !=
        std::string::npos);
  setup.tiers = "[{name: dram}, {name: hbm, bandwidth: 1GB/s}]";
  CHECK(one_layer().error_of(setup).find(
            "system.stages.0.tier: 'hbm' is not the first tier, where alone stages place; allowed: dram") !=
        std::string::npos);
  setup = in_place();
  setup.tiers = "[{name: hbm}, {name: flash}]";
  setup.cache_holds = "layer";
  CHECK(one_layer().error_of(setup).find("system.cache.holds: a stage places entries") != std::string::npos);
}

}  // namespace
}  // namespace kvr

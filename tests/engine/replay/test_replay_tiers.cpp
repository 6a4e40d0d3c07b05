// Tiers of memory between the first and the last: what each is asked for and holds, against a plain
// reference; what a step takes, against closed forms; and the engine's own checks, over the shipped policies.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/engine/memory/tiers/tier_reference.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::largest;
using test::Setup;
using test::StepCounts;
using test::TierSpec;
using test::total;
using test::values;

constexpr std::int64_t kFirstEntries = 45;
constexpr double kLatency_s = 3e-6;
constexpr std::array kBandwidths_bytes_per_s = {4e9, 5e8};

/// The first tier, memory as `between` says, and flash.
std::string tiers_over_flash(const std::vector<TierSpec>& between) {
  std::string text = "[{name: hbm}";
  for (std::size_t i = 0; i < between.size(); ++i) {
    text += fmt::format(", {{name: m{}, bandwidth: {}B/s, latency: 3us, capacity: {}B, copies: {}}}", i,
                        kBandwidths_bytes_per_s[i], between[i].capacity * kEntryBytes,
                        between[i].exclusive ? "exclusive" : "inclusive");
  }
  return text + ", {name: flash}]";
}

Setup lru_over(const std::string& tiers) {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = kFirstEntries * kEntryBytes;
  setup.tiers = tiers;
  setup.check = "every_step";
  return setup;
}

const std::vector<std::vector<TierSpec>>& all_between() {
  static const std::vector<std::vector<TierSpec>> all = {
      {{80, false}},
      {{80, true}},
      {{30, false}},
      {{30, true}},
      {{70, false}, {90, true}},
      {{40, true}, {60, true}},
      {{50, true}, {100, false}},
      {{60, false}, {100, false}},
  };
  return all;
}

std::vector<StepCounts> reference_counts(const std::vector<std::vector<CacheObject>>& touched,
                                         const std::vector<TierSpec>& between) {
  test::TierReference reference(kFirstEntries, between);
  std::vector<StepCounts> counts;
  for (const auto& step : touched) {
    counts.push_back(reference.step(step));
  }
  return counts;
}

TEST_CASE("every tier is asked for, has, takes down and holds what a plain LRU of each would") {
  const test::ReplayFixture fixture;
  const auto touched = test::demands(fixture, lru_over("[]"));
  for (const std::vector<TierSpec>& between : all_between()) {
    const Setup setup = lru_over(tiers_over_flash(between));
    CAPTURE(setup.tiers);
    const PointResult result = fixture.run(setup);
    const std::vector<StepCounts> counts = reference_counts(touched, between);
    REQUIRE(std::ssize(counts) == result.data.steps());
    std::int64_t read = 0;
    std::int64_t demoted = 0;
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      CAPTURE(step);
      const StepCounts& of_step = counts[static_cast<std::size_t>(step)];
      for (std::size_t tier = 0; tier < between.size(); ++tier) {
        const test::TierCounts& expected = of_step.tiers[tier];
        const auto entries = [&](Metric metric) {
          return result.data.at_tier(metric, step, static_cast<std::int64_t>(tier)) / double{kEntryBytes};
        };
        CHECK(entries(Metric::tier_asked_bytes) == static_cast<double>(expected.asked));
        CHECK(entries(Metric::tier_hit_bytes) == static_cast<double>(expected.read));
        CHECK(entries(Metric::tier_up_bytes) == static_cast<double>(expected.read + of_step.from_last));
        CHECK(entries(Metric::tier_down_bytes) == static_cast<double>(expected.demoted));
        CHECK(entries(Metric::tier_held_bytes) == static_cast<double>(expected.held));
        read += expected.read;
        demoted += between[tier].exclusive ? expected.demoted : 1;
      }
    }
    CHECK(read > 0);
    CHECK(demoted > 0);
  }
}

/// Seconds of one transfer over a link.
double transfer_s(std::size_t link, std::int64_t entries) {
  return entries > 0 ? kLatency_s + static_cast<double>(entries * kEntryBytes) / kBandwidths_bytes_per_s[link]
                     : 0.0;
}

/// One layer, so that a step's counts are those of its transfers.
const test::ReplayFixture& one_layer() {
  static const test::ReplayFixture made([] {
    trace::SynthOptions options = test::small_trace();
    options.layers = 1;
    return options;
  }());
  return made;
}

TEST_CASE("serially a step takes the sum of computing, the flash and every transfer") {
  const auto touched = test::demands(one_layer(), lru_over("[]"));
  for (const std::vector<TierSpec>& between : all_between()) {
    const Setup setup = lru_over(tiers_over_flash(between));
    CAPTURE(setup.tiers);
    const PointResult result = one_layer().run(setup);
    const std::vector<StepCounts> counts = reference_counts(touched, between);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      const StepCounts& of_step = counts[static_cast<std::size_t>(step)];
      double up_s = 0.0;
      double down_s = 0.0;
      for (std::size_t tier = 0; tier < between.size(); ++tier) {
        up_s += transfer_s(tier, of_step.tiers[tier].read) + transfer_s(tier, of_step.from_last);
        down_s += transfer_s(tier, of_step.tiers[tier].demoted);
      }
      const auto at = [&](Metric metric) { return result.data.at(metric, step); };
      CHECK(at(Metric::latency_s) ==
            doctest::Approx(at(Metric::compute_s) + at(Metric::io_s) + up_s + down_s).epsilon(1e-9));
      CHECK(at(Metric::critical_tier_read_s) == doctest::Approx(up_s).epsilon(1e-9));
      CHECK(at(Metric::critical_demotion_s) == doctest::Approx(down_s).epsilon(1e-9));
      CHECK(at(Metric::exposed_link_s) == doctest::Approx(up_s + down_s).epsilon(1e-9));
    }
  }
}

/// What a step takes where a layer's reads and the K/V projections follow its scores side by side, and writes
/// and demotions its updates. `part`: how long the operations of a purpose take.
template <class Part>
double overlapped_s(const StepCounts& counts, Part part) {
  const double scored_s = part(Purpose::query_projection) + part(Purpose::score);
  double come_s = scored_s + part(Purpose::read);
  double all_s = scored_s + part(Purpose::key_value_projection);
  for (std::size_t link = counts.tiers.size(); link-- > 0;) {
    const double found_s = scored_s + transfer_s(link, counts.tiers[link].read);
    come_s = counts.from_last > 0 ? std::max(come_s, found_s) + transfer_s(link, counts.from_last) : come_s;
    all_s = std::max(all_s, found_s);
  }
  const double attended_s = std::max(all_s, come_s) + part(Purpose::attention);
  const double projected_s = attended_s + part(Purpose::output_projection);
  const double update_s = part(Purpose::update);
  const double updated_s = update_s > 0.0 ? projected_s + update_s : attended_s;
  double end_s = std::max(projected_s, updated_s) + part(Purpose::feed_forward) + part(Purpose::output_head);
  end_s = std::max(end_s, updated_s + part(Purpose::write));
  for (std::size_t link = 0; link < counts.tiers.size(); ++link) {
    end_s = std::max(end_s, updated_s + transfer_s(link, counts.tiers[link].demoted));
  }
  return end_s;
}

TEST_CASE("overlapped a step takes the longest of its chains over computing, flash and links") {
  const auto touched = test::demands(one_layer(), lru_over("[]"));
  std::int64_t shorter = 0;
  for (const std::vector<TierSpec>& between : all_between()) {
    Setup setup = lru_over(tiers_over_flash(between));
    CAPTURE(setup.tiers);
    const PointResult serial = one_layer().run(setup);
    setup.schedule = "dynakv";
    const PointResult overlapped = one_layer().run(setup);
    const std::vector<StepCounts> counts = reference_counts(touched, between);
    for (std::int64_t step = 0; step < serial.data.steps(); ++step) {
      CAPTURE(step);
      const auto part = [&](Purpose purpose) { return serial.data.at(critical_metric(purpose), step); };
      const double expected_s = overlapped_s(counts[static_cast<std::size_t>(step)], part);
      CHECK(overlapped.data.at(Metric::latency_s, step) == doctest::Approx(expected_s).epsilon(1e-9));
      shorter += expected_s < 0.99 * serial.data.at(Metric::latency_s, step) ? 1 : 0;
    }
  }
  CHECK(shorter > 0);
}

TEST_CASE("over a last tier that is memory every miss comes by its link, and every new entry goes down it") {
  Setup setup = lru_over(fmt::format("[{{name: hbm}}, {{name: dram, bandwidth: {}B/s, latency: 3us}}]",
                                     kBandwidths_bytes_per_s[0]));
  const PointResult result = one_layer().run(setup);
  CHECK(total(result, Metric::read_requests) == 0.0);
  CHECK(total(result, Metric::write_bytes) == 0.0);
  CHECK(largest(result, Metric::io_s) == 0.0);
  CHECK(largest(result, Metric::flash_space_bytes) == 0.0);
  const auto touched = test::demands(one_layer(), lru_over("[]"));
  const std::vector<StepCounts> counts = reference_counts(touched, {});
  constexpr std::int64_t kNew = 2;  // one of each head
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    const std::int64_t missed = counts[static_cast<std::size_t>(step)].missed;
    const auto entries = [&](Metric metric) {
      return result.data.at_tier(metric, step, 0) / double{kEntryBytes};
    };
    CHECK(entries(Metric::tier_asked_bytes) == static_cast<double>(missed));
    CHECK(entries(Metric::tier_up_bytes) == static_cast<double>(missed));
    CHECK(entries(Metric::tier_down_bytes) == static_cast<double>(kNew));
    CHECK(
        result.data.at(Metric::latency_s, step) ==
        doctest::Approx(result.data.at(Metric::compute_s, step) + transfer_s(0, missed) + transfer_s(0, kNew))
            .epsilon(1e-9));
  }
  setup.tiers = "[]";
  CHECK(test::same_bits(result, one_layer().run(setup), Metric::output_error));
}

const test::ReplayFixture& two_layers() {
  static const test::ReplayFixture made;
  return made;
}

/// Every kind of tier below the first.
std::vector<std::string> kinds_of_tiers() {
  return {
      tiers_over_flash({{30, false}}), tiers_over_flash({{40, true}}),
      tiers_over_flash({{30, true}, {50, false}}), tiers_over_flash({{40, false}, {60, true}}),
      "[{name: hbm}, {name: m, bandwidth: 1GB/s, capacity: 1600B, copies: exclusive, replacement: s3_fifo}, "
      "{name: far, bandwidth: 100MB/s}]"};
}

/// The engine's checks run after every step.
void check_on_threads(Setup setup) {
  for (const std::string& tiers : kinds_of_tiers()) {
    setup.tiers = tiers;
    CAPTURE(setup.describe());
    CAPTURE(tiers);
    setup.threads = 1;
    const PointResult result = two_layers().run(setup);
    CHECK(total(result, Metric::tier_hit_bytes) > 0.0);
    setup.threads = 3;
    CHECK(test::same_bits(result, two_layers().run(setup)));
  }
}

constexpr std::array kLayouts = {"{type: token_order, page_buffer: 4KiB}", "cluster_contiguous",
                                 "{type: dual_head, page_buffer: 4KiB}"};

TEST_CASE("tiers stay sound where entries are removed, and the same on any number of threads") {
  for (const char* clustering :
       {"token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
        "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"}) {
    for (const char* layout : kLayouts) {
      Setup setup = lru_over("");
      setup.clustering = clustering;
      setup.layout = layout;
      setup.scorer = "centroid";
      setup.stages_before =
          "{when: [prefill_end, step], every: 3, effect: evict, scorer: exact, budget: {type: fraction, "
          "share: 0.7}, pins: {sinks: 1, recent: 4}}";
      check_on_threads(setup);
    }
  }
}

TEST_CASE("tiers stay sound where units split, wait and ask to be loaded") {
  for (const int max_members : {2, 5, 9}) {
    for (const char* layout : kLayouts) {
      Setup setup = lru_over("");
      setup.clustering =
          fmt::format("{{type: {}, max_members: {}, buffer_every: 3}}", test::kSplitting, max_members);
      setup.layout = layout;
      setup.cache_scope = max_members == 5 ? "layer" : "model";
      setup.scorer = "centroid";
      check_on_threads(setup);
    }
  }
}

TEST_CASE("tiers stay sound under a first tier that keeps nothing or gives room away") {
  Setup setup = lru_over("");
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.replacement = "none";
  check_on_threads(setup);
  setup.replacement = "lru";
  setup.cache_bytes = 0;
  setup.dram_bytes = 18000;
  check_on_threads(setup);
}

TEST_CASE("what cannot lie over or between tiers is refused") {
  Setup setup = lru_over(tiers_over_flash({{30, false}}));
  Setup by_layer = setup.layer_by_layer();
  by_layer.representatives = "";
  CHECK(two_layers().error_of(by_layer) ==
        "config.yaml:14:42: system.cache.holds: cached entries would be on flash between layers, and 'm0' "
        "lies between; allowed: all");
  setup.representatives = "flash";
  CHECK(two_layers().error_of(setup) ==
        "config.yaml:16:3: system.representatives: representatives would be on flash between layers, and "
        "'m0' lies between; allowed: the first tier");
  setup.representatives = "";
  setup.tiers = "[{name: a}, {name: b, bandwidth: 1GB/s, capacity: 64B, replacement: belady}, {name: d}]";
  CHECK(
      two_layers().error_of(setup) ==
      "config.yaml:10:65: system.tiers.1.replacement: 'belady' needs accesses that do not depend on a cache, "
      "and tier 'b' is asked for what the one above it lacks; allowed is another replacement");
  setup.tiers = "[{name: a}, {name: b, bandwidth: 1GB/s, capacity: 63B}, {name: d}]";
  CHECK(two_layers().error_of(setup) ==
        "config.yaml:10:50: system.tiers.1.capacity: 63 bytes for the whole model leave 'lru' 63 bytes in a "
        "cache, less than one entry of 64; give more, or replacement none");
}

}  // namespace
}  // namespace kvr

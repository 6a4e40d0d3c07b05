// Stages that evict, over every combination of the shipped policies: what is removed is gone from units,
// caches and flash, what is not is found, and nothing depends on threads.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/stages.hpp"

namespace kvr {
namespace {

using test::kUnits;
using test::kWindow;
using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

std::vector<Setup> evicting_setups() {
  std::vector<Setup> setups;
  const std::vector<std::string> clusterings = {
      "token",
      "{type: page, page_tokens: 8}",
      "{type: page, page_tokens: 8, buffered: true}",
      "{type: page, page_tokens: 4, packed: true}",
      "{type: kmeans, entries_per_cluster: 7}",
      "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
      "{type: segmented_kmeans, entries_per_cluster: 7, segment_entries: 30, sinks: 2, recent: 5, window: 8}",
      "{type: kmeans_local, entries_per_cluster: 7, window: 6, window_clusters: 2}",
      "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"};
  const std::vector<std::string> layouts = {
      "token_order",        "{type: token_order, interleave_heads: true, page_buffer: 4KiB}",
      "cluster_contiguous", "{type: cluster_contiguous, page_buffer: 4KiB, wait_steps: 5}",
      "cluster_by_cluster", "{type: cluster_by_cluster, on_growth: shift}",
      "dual_head",          "{type: dual_head, page_buffer: 4KiB}"};
  const std::vector<std::string> replacements = {"none", "lru",     "cluster_aligned",
                                                 "arc",  "s3_fifo", "{type: fifo, spare_used: true}"};
  const std::vector<std::string> scorers = {"exact",
                                            "centroid",
                                            "{type: low_rank, rank: 5}",
                                            "{type: landmark, outliers: 2}",
                                            "{type: box_channels, share: 0.5}",
                                            "box_bound",
                                            "{type: partial_key, share: 0.3, window: 3}"};
  for (std::size_t c = 0; c < clusterings.size(); ++c) {
    for (std::size_t l = 0; l < layouts.size(); ++l) {
      for (const char* evict : {kWindow, kUnits}) {
        Setup setup;
        setup.clustering = clusterings[c];
        setup.layout = layouts[l];
        setup.replacement = replacements[(c + l) % replacements.size()];
        setup.scorer = scorers[(2 * c + l) % scorers.size()];
        setup.fold = l % 3 == 0 ? "none" : "mean";
        setup.stages_before = evict;
        setup.cache_bytes = 60 * test::kEntryBytes;
        setup.check = "every_step";
        setups.push_back(l % 4 == 1 ? setup.layer_by_layer() : setup);
      }
    }
  }
  return setups;
}

TEST_CASE(
    "eviction keeps units, places, caches and sums consistent in every step, on any number of threads") {
  for (Setup setup : evicting_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.stages_before);
    const PointResult result = fixture().run(setup);
    CHECK(smallest(result, Metric::retained) < 0.99);
    CHECK(largest(result, Metric::retained) <= 1.0);
    CHECK(largest(result, Metric::mass) <= 1.0 + 1e-6);
    for (std::size_t i = 0; i < values(result, Metric::mass).size(); ++i) {
      CHECK(values(result, Metric::mass)[i] <= values(result, Metric::retained_mass)[i] + 1e-6);
      const double recall = values(result, Metric::recall)[i];
      CHECK((std::isnan(recall) || recall <= values(result, Metric::retained_recall)[i] + 1e-12));
    }
    setup.threads = 3;
    CHECK(test::same_bits(result, fixture().run(setup)));
  }
}

TEST_CASE(
    "what waits for its unit and is removed is no longer counted as DRAM, in DRAM alone or over flash") {
  for (const char* const clustering :
       {"{type: page, page_tokens: 8, buffered: true}",
        "{type: kmeans_local, entries_per_cluster: 7, window: 12, window_clusters: 2}",
        "{type: segmented_kmeans, entries_per_cluster: 7, segment_entries: 30, sinks: 2, recent: 5, window: "
        "9}"}) {
    for (const char* const tiers : {"[{name: dram}]", "[]"}) {
      Setup setup;
      setup.clustering = clustering;
      setup.tiers = tiers;
      setup.stages_before = kWindow;
      setup.selects = false;
      setup.check = "every_step";
      CAPTURE(setup.describe());
      const PointResult result = fixture().run(setup);
      CHECK(smallest(result, Metric::cache_bytes) >= 0.0);
      // Two sinks, 30 recent entries and the current one, of two layers of two heads each.
      CHECK(largest(result, Metric::pinned_bytes) <= 4.0 * 33.0 * test::kEntryBytes);
    }
  }
}

TEST_CASE("a window keeps exactly its pins: attention runs over them and the current entry") {
  Setup setup;
  setup.selects = false;
  setup.stages_before = kWindow;
  for (const char* tiers : {"[]", "[{name: dram}]"}) {
    CAPTURE(tiers);
    setup.tiers = tiers;
    const PointResult result = fixture().run(setup);
    CHECK(smallest(result, Metric::attended_entries) == 33.0);
    CHECK(largest(result, Metric::attended_entries) == 33.0);
    CHECK(result.data.at(Metric::retained, 0, 0, 0) == doctest::Approx(33.0 / 66.0));
    // Of the 32 best of all earlier entries, those in the window: fewer than all, and the same for both.
    CHECK(largest(result, Metric::recall) < 1.0);
    for (std::size_t i = 0; i < values(result, Metric::recall).size(); ++i) {
      CHECK(values(result, Metric::recall)[i] == values(result, Metric::retained_recall)[i]);
    }
  }
}

TEST_CASE("what is never removed or selected is full attention; in DRAM alone it moves nothing") {
  Setup setup;
  setup.selects = false;
  const PointResult read = fixture().run(setup);
  setup.tiers = "[{name: dram}]";
  const PointResult kept = fixture().run(setup);
  for (const PointResult* result : {&read, &kept}) {
    CHECK(smallest(*result, Metric::recall) == 1.0);
    CHECK(largest(*result, Metric::output_error) <= 1e-5);
    CHECK(smallest(*result, Metric::needed_loaded) == 1.0);
  }
  CHECK(total(kept, Metric::read_bytes) + total(kept, Metric::write_bytes) == 0.0);
  CHECK(total(kept, Metric::flash_space_bytes) == 0.0);
  CHECK(total(kept, Metric::io_s) == 0.0);
  // K and V of all entries of all heads, the current one of each apart.
  CHECK(kept.data.at(Metric::cache_bytes, 39) ==
        static_cast<double>(test::kHeads * test::kEntryBytes) * kept.data.at(Metric::position, 39));
  for (std::int64_t step = 0; step < read.data.steps(); ++step) {
    CHECK(read.data.at(Metric::useful_read_bytes, step, 1, 1) ==
          static_cast<double>(test::kEntryBytes) * read.data.at(Metric::position, step));
  }
}

TEST_CASE("a budget for everything removes nothing") {
  Setup setup;
  for (const char* units : {"token", "clustering"}) {
    setup.stages_before = fmt::format(
        "{{when: [prefill_end, step], effect: evict, units: {}, scorer: exact, budget: {{type: fixed, "
        "entries: "
        "1000}}}}",
        units);
    const PointResult result = fixture().run(setup);
    CHECK(smallest(result, Metric::retained) == 1.0);
    Setup without = setup;
    without.stages_before = "";
    const PointResult plain = fixture().run(without);
    for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error, Metric::read_bytes}) {
      CHECK(test::same_bits(result, plain, metric));
    }
  }
}

TEST_CASE("what no stage can do is refused, every problem at once") {
  Setup setup;
  setup.stages_before =
      "{when: prefill_end, every: 2, scorer: exact, budget: fixed}, {when: prefill_end, every: 3, effect: "
      "evict, "
      "scorer: exact, budget: fixed}, {effect: evict, scorer: {type: window_attention, window: 9}, budget: "
      "fixed}";
  const std::string error = fixture().error_of(setup);
  CHECK(error.find("system.stages.0.when: a stage that selects acts in steps alone; allowed: step") !=
        std::string::npos);
  CHECK(error.find("system.stages.0.every: 2 for a stage that selects") != std::string::npos);
  CHECK(error.find("system.stages.1.every: 3 for a stage that does not act in steps; allowed: 1") !=
        std::string::npos);
  trace::SynthOptions without_queries = test::small_trace();
  without_queries.prompt_window = 0;
  setup.stages_before = "{when: prefill_end, effect: evict, scorer: exact, budget: fixed}";
  CHECK(test::ReplayFixture(without_queries)
            .error_of(setup)
            .find("has the queries of the last 0 entries of the prompt, a policy of 'system under test' "
                  "needs 1") != std::string::npos);
  setup.stages_before = "{effect: evict, scorer: {type: window_attention, window: 9}, budget: fixed}";
  CHECK(fixture().error_of(setup).find(
            "has the queries of the last 3 entries of the prompt, a policy of 'system under test' needs 9") !=
        std::string::npos);
}

}  // namespace
}  // namespace kvr

// Units that split, entries that wait and loads asked for: the engine checks after every step and at the end
// that no entry is lost, held twice or without a place, and that the cache's books are right.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// Every way to cache, place and rank that matters for splits.
std::vector<Setup> splitting_setups() {
  std::vector<Setup> setups;
  for (const int max_members : {2, 5, 9}) {
    for (const int buffer_every : {1, 3, 7}) {
      for (const char* layout :
           {"token_order", "cluster_contiguous", "{type: cluster_by_cluster, on_growth: shift}",
            "{type: cluster_by_cluster}", "{type: dual_head, page_buffer: 512B, hot_steps: 6}"}) {
        for (const std::int64_t cached_entries : {0, 2, 15, 60, 1000}) {
          Setup setup;
          setup.clustering = fmt::format("{{type: {}, max_members: {}, buffer_every: {}}}", test::kSplitting,
                                         max_members, buffer_every);
          setup.scorer = max_members == 5 ? "exact" : "centroid";
          setup.fold = buffer_every == 3 ? "none" : "mean";
          setup.layout = layout;
          setup.replacement = cached_entries > 0 ? "lru" : "none";
          setup.cache_bytes = cached_entries * test::kEntryBytes;
          setup.cache_scope = cached_entries == 60 ? "layer" : "model";
          setup.recent = buffer_every == 7 ? 0 : 5;
          setups.push_back(setup);
        }
      }
    }
  }
  return setups;
}

/// The shipped clusterings that buffer, split and create, over layouts and caches.
std::vector<Setup> shipped_setups() {
  std::vector<Setup> setups;
  for (const char* clustering :
       {"{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}",
        "{type: adaptive, entries_per_cluster: 7, threshold: quantile, buffer_entries: 3}",
        "{type: adaptive, entries_per_cluster: 7, trigger: size, max_entries: 9}",
        "{type: adaptive, entries_per_cluster: 13, threshold: mean, split: now}",
        "{type: adaptive, entries_per_cluster: 5, threshold: quantile, quantile: 0.2, buffer_entries: 100}",
        "{type: kmeans_local, entries_per_cluster: 7, window: 9, window_clusters: 2}",
        "{type: kmeans, entries_per_cluster: 7, refit_every: 6}",
        "{type: kmeans_local, entries_per_cluster: 7, cluster_generated: false}", "token"}) {
    for (const char* layout :
         {"token_order", "cluster_contiguous", "{type: token_order, page_buffer: 300B}",
          "{type: cluster_contiguous, page_buffer: 512B}", "{type: cluster_by_cluster, on_growth: shift}",
          "{type: cluster_by_cluster}", "{type: dual_head, page_buffer: 512B, hot_steps: 6}"}) {
      for (const std::int64_t cached_entries : {0, 15, 60, 1000}) {
        Setup setup;
        setup.clustering = clustering;
        setup.scorer = cached_entries == 15 ? "{type: product_quantisation, bits: 3}" : "centroid";
        setup.layout = layout;
        setup.replacement = cached_entries > 0 ? "lru" : "none";
        setup.cache_bytes = cached_entries * test::kEntryBytes;
        setup.recent = cached_entries == 60 ? 0 : 5;
        setups.push_back(setup);
      }
    }
  }
  return setups;
}

/// Of a budget of 0 there is no recall.
void check_recall(const PointResult& result, std::int64_t budget) {
  for (const double recall : values(result, Metric::recall)) {
    CHECK((recall <= 1.0 || (budget == 0 && std::isnan(recall))));
  }
}

TEST_CASE("the shipped clusterings lose nothing, keep the cache's books right and give the same bits again") {
  for (Setup setup : shipped_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.cache_bytes);
    const PointResult full = fixture().run(setup.with_budget(1000));
    CHECK(largest(full, Metric::output_error) <= 1e-5);
    CHECK(smallest(full, Metric::recall) == 1.0);
    CHECK(smallest(full, Metric::relative_mass) >= 1.0 - 1e-5);
    for (const std::int64_t budget : {0, 3, 12}) {
      CAPTURE(budget);
      const PointResult result = fixture().run(setup.with_budget(budget));
      CHECK(largest(result, Metric::cache_bytes) <= static_cast<double>(setup.cache_bytes));
      check_recall(result, budget);
      CHECK(largest(result, Metric::relative_mass) <= 1.0 + 1e-6);
    }
    const PointResult once = fixture().run(setup);
    setup.threads = 3;
    CHECK(test::same_bits(once, fixture().run(setup)));
  }
}

TEST_CASE("splits, buffers and loads lose nothing: a budget for everything stays full attention") {
  for (const Setup& setup : splitting_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.cache_bytes);
    const PointResult result = fixture().run(setup.with_budget(1000));
    CHECK(largest(result, Metric::output_error) <= 1e-5);
    CHECK(smallest(result, Metric::recall) == 1.0);
    CHECK(largest(result, Metric::units) > 6.0);
  }
}

TEST_CASE("with a small budget caches and layouts stay consistent while units split under them") {
  for (const Setup& setup : splitting_setups()) {
    for (const std::int64_t budget : {3, 12}) {
      CAPTURE(setup.describe());
      CAPTURE(setup.cache_bytes);
      const PointResult result = fixture().run(setup.with_budget(budget));
      CHECK(largest(result, Metric::cache_bytes) <= static_cast<double>(setup.cache_bytes));
      CHECK(smallest(result, Metric::recall) >= 0.0);
      CHECK(largest(result, Metric::recall) <= 1.0);
      CHECK(largest(result, Metric::mass) <= 1.0 + 1e-6);
    }
  }
}

TEST_CASE("pending entries count against the budget before units do") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 1000, buffer_every: 9}}", test::kSplitting);
  setup.sinks = 0;
  setup.recent = 0;
  const PointResult result = fixture().run(setup);
  CHECK(largest(result, Metric::selected_entries) <= 10.0);
  setup.clustering = fmt::format("{{type: {}, max_members: 1000, buffer_every: 1}}", test::kSplitting);
  const PointResult none = fixture().run(setup.with_budget(0));
  CHECK(largest(none, Metric::selected_entries) > 0.0);  // they are visible all the same
  CHECK(total(none, Metric::demanded_bytes) == 0.0);     // and in DRAM already
}

TEST_CASE("relative mass is at most 1 even where the pending entries outnumber the budget") {
  Setup setup;
  setup.recent = 0;
  for (const int buffer_every : {1, 2}) {
    setup.clustering =
        fmt::format("{{type: {}, max_members: 1000, buffer_every: {}}}", test::kSplitting, buffer_every);
    for (const std::int64_t budget : {0, 1, 6}) {
      CAPTURE(buffer_every);
      CAPTURE(budget);
      const PointResult result = fixture().run(setup.with_budget(budget));
      CHECK(largest(result, Metric::selected_entries) > static_cast<double>(budget));
      CHECK(largest(result, Metric::relative_mass) <= 1.0 + 1e-6);
      check_recall(result, budget);
    }
  }
}

TEST_CASE("pending entries that join the members of a cached unit are cached: what is kept is never read") {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = 100000 * test::kEntryBytes;
  setup.recent = 0;
  for (const char* layout :
       {"token_order", "cluster_contiguous", "{type: cluster_by_cluster, on_growth: shift}",
        "{type: cluster_by_cluster}", "{type: dual_head, page_buffer: 512B, hot_steps: 6}"}) {
    setup.layout = layout;
    setup.clustering = fmt::format("{{type: {}, max_members: 5, buffer_every: 3}}", test::kSplitting);
    CAPTURE(setup.describe());
    const PointResult result = fixture().run(setup.with_budget(1000));
    const auto demanded = values(result, Metric::demanded_bytes);
    const auto hit = values(result, Metric::hit_bytes);
    for (std::size_t i = test::kHeads; i < demanded.size(); ++i) {  // all is loaded in the first step
      CHECK(hit[i] == demanded[i]);
    }
  }
}

TEST_CASE("a clustering that asks for a load while it is being answered one is a bug") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 5, insatiable: true}}", test::kSplitting);
  CHECK_THROWS_AS(fixture().run(setup.with_budget(0)), InternalError);
}

TEST_CASE("contiguous clusters move bytes when they split, token order moves none") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 5}}", test::kSplitting);
  CHECK(total(fixture().run(setup), Metric::moved_bytes) == 0.0);
  setup.layout = "cluster_contiguous";
  const PointResult moved = fixture().run(setup);
  CHECK(total(moved, Metric::moved_bytes) > 0.0);
  CHECK(total(moved, Metric::write_bytes) >= total(moved, Metric::moved_bytes));
}

TEST_CASE("what a clustering asks to load is among the bytes read") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 5}}", test::kSplitting);
  setup.layout = "cluster_contiguous";
  const PointResult none = fixture().run(setup.with_budget(0));
  CHECK(total(none, Metric::useful_read_bytes) == 0.0);
  CHECK(total(none, Metric::read_requests) > 0.0);
  CHECK(total(none, Metric::read_bytes) >= 4096.0 * total(none, Metric::read_requests));
}

/// Six units of a prompt of 65: unit 1 has 10 entries, the others 11. Entry 65 joins unit 1, entry 66 unit 0,
/// whose 12 members are then too many. Nothing is selected or pinned, so nothing is in DRAM.
Setup twelve_are_too_many(const std::string& layout) {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 11, buffer_every: 1000}}", test::kSplitting);
  setup.layout = layout;
  setup.sinks = 0;
  setup.recent = 0;
  setup.steps = 2;
  return setup.with_budget(0);
}

TEST_CASE("update reads are the blocks of loaded units and of moved entries that are not in DRAM") {
  // One by one: 64 B entries, so head 0 has unit 0 in [0, 704), unit 1 in [704, 1344), and head 1 the same
  // 65 * 64 = 4160 B later: in each step one block of each head, blocks 0 and 1.
  const PointResult naive = fixture().run(twelve_are_too_many("cluster_by_cluster"));
  // In pools of 4 KiB: appends move nothing; the units 0 are at the beginning of blocks 0 and 3.
  const PointResult pools = fixture().run(twelve_are_too_many("{type: dual_head, pairing: order}"));
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    CHECK(naive.data.at(Metric::update_read_bytes, 0, layer) == 8192.0);  // unit 1 is moved
    CHECK(naive.data.at(Metric::update_read_bytes, 1, layer) == 8192.0);  // unit 0 is loaded, then split
    CHECK(naive.data.at(Metric::read_requests, 1, layer) == 1.0);
    CHECK(pools.data.at(Metric::update_read_bytes, 0, layer) == 0.0);
    CHECK(pools.data.at(Metric::update_read_bytes, 1, layer) == 8192.0);
    CHECK(pools.data.at(Metric::read_requests, 1, layer) == 2.0);
  }
  CHECK(total(naive, Metric::read_bytes) == total(naive, Metric::update_read_bytes));
  Setup pinned = twelve_are_too_many("cluster_by_cluster");
  pinned.sinks = 1000;
  CHECK(total(fixture().run(pinned), Metric::update_read_bytes) == 0.0);
}

TEST_CASE("what attention reads is no update read") {
  const PointResult result = fixture().run(Setup{});
  CHECK(total(result, Metric::read_bytes) > 0.0);
  CHECK(total(result, Metric::update_read_bytes) == 0.0);
}

TEST_CASE("a cluster that is not in DRAM is never split for free") {
  Setup setup;
  setup.sinks = 0;
  setup.recent = 0;  // with a budget of 0: nothing but the current entry is in DRAM
  for (const std::string split : {"split: now", "split: delayed, buffer_entries: 1"}) {
    CAPTURE(split);
    setup.clustering = fmt::format(
        "{{type: adaptive, entries_per_cluster: 7, threshold: quantile, quantile: 0.3, {}}}", split);
    const PointResult result = fixture().run(setup.with_budget(0));
    std::int64_t splits = 0;
    for (std::int64_t step = 1; step < result.data.steps(); ++step) {
      for (std::int64_t layer = 0; layer < 2; ++layer) {
        double more = 0.0;
        for (std::int64_t head = 0; head < 2; ++head) {
          more += result.data.at(Metric::units, step, layer, head) -
                  result.data.at(Metric::units, step - 1, layer, head);
        }
        CHECK((result.data.at(Metric::update_read_bytes, step, layer) > 0.0) == (more > 0.0));
        splits += static_cast<std::int64_t>(more);
      }
    }
    CHECK(splits > 20);
  }
}

TEST_CASE(
    "a refit reads what is not in DRAM, and only then do entries move and is anything read for updates") {
  for (const std::string layout : {"token_order", "cluster_contiguous", "dual_head"}) {
    CAPTURE(layout);
    Setup setup;
    setup.clustering = "{type: kmeans, entries_per_cluster: 7, refit_every: 10}";
    setup.layout = layout;
    const PointResult result = fixture().run(setup.with_budget(3));
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      for (std::int64_t layer = 0; layer < 2; ++layer) {
        const bool refits = (step + 1) % 10 == 0;
        CHECK((result.data.at(Metric::update_read_bytes, step, layer) > 0.0) == refits);
        CHECK((result.data.at(Metric::moved_bytes, step, layer) > 0.0) ==
              (refits && layout != "token_order"));
      }
    }
  }
}

TEST_CASE("what is cached stays cached when the units are regrouped") {
  Setup setup;
  setup.clustering = "{type: kmeans, entries_per_cluster: 7, refit_every: 5}";
  setup.replacement = "lru";
  setup.cache_bytes = 100000 * test::kEntryBytes;
  setup.recent = 0;
  const PointResult result = fixture().run(setup.with_budget(1000));
  const auto demanded = values(result, Metric::demanded_bytes);
  const auto hit = values(result, Metric::hit_bytes);
  for (std::size_t i = test::kHeads; i < demanded.size(); ++i) {  // all is loaded in the first step
    CHECK(hit[i] == demanded[i]);
  }
  CHECK(total(result, Metric::update_read_bytes) == 0.0);
}

TEST_CASE("every replacement policy keeps its books when the units are regrouped") {
  for (const auto& [name, implementation] : Catalogue::instance().kind(Replacement::kKind)) {
    if (name == "belady") {  // which units a refit finds partly cached depends on the cache
      continue;
    }
    Setup setup;
    setup.clustering = "{type: kmeans, entries_per_cluster: 7, refit_every: 4}";
    setup.replacement = name;
    setup.check = "every_step";
    for (const std::int64_t cached_entries : {3, 15, 60}) {
      CAPTURE(name);
      setup.cache_bytes = cached_entries * test::kEntryBytes;
      const PointResult result = fixture().run(setup);
      CHECK(largest(result, Metric::cache_bytes) <= static_cast<double>(setup.cache_bytes));
    }
  }
}

TEST_CASE("splitting gives the same bits with one thread and with three") {
  for (Setup setup : splitting_setups()) {
    if (setup.cache_bytes == 15 * test::kEntryBytes) {
      CAPTURE(setup.describe());
      const PointResult once = fixture().run(setup);
      setup.threads = 3;
      CHECK(test::same_bits(once, fixture().run(setup)));
    }
  }
}

}  // namespace
}  // namespace kvr

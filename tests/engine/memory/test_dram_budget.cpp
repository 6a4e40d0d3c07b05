// `system.dram`: everything that a replay says to have in DRAM fits it after every step, and what is too
// little is told with the least that does.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <charconv>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::Setup;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

double dram_of(const PointData& data, std::int64_t step) {
  double bytes = 0.0;
  for (const Metric metric : {Metric::cache_bytes, Metric::working_buffer_bytes, Metric::write_buffer_bytes,
                              Metric::pinned_bytes, Metric::representative_bytes, Metric::metadata_bytes}) {
    bytes += data.at(metric, step);
  }
  return bytes;
}

double largest_dram(const PointResult& result) {
  double largest = 0.0;
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    largest = std::max(largest, dram_of(result.data, step));
  }
  return largest;
}

/// Of "... give at least 12KiB".
std::int64_t least_bytes_told(const std::string& error) {
  const std::string before = "give at least ";
  const std::size_t at = error.find(before);
  REQUIRE(at != std::string::npos);
  const char* begin = error.data() + at + before.size();
  std::int64_t kib = 0;
  std::from_chars(begin, error.data() + error.size(), kib);
  return kib * 1024;
}

/// All in DRAM under a serial schedule, or by DynaKV's with something on flash between layers.
Setup kept_as(const std::string& how, const Setup& setup) {
  Setup kept = how == "all" ? setup : setup.layer_by_layer();
  if (how == "area" || how == "in_place") {
    kept.swap = how;
    kept.cache_scope = "layer";
  } else {
    kept.cache_holds = "all";
  }
  return kept;
}

std::vector<Setup> caching_setups() {
  std::vector<Setup> setups;
  for (const char* replacement :
       {"lru", "fifo", "lfu", "clock", "arc", "s3_fifo", "lrfu", "cluster_aligned"}) {
    for (const std::string& clustering :
         {std::string("token"), std::string("{type: kmeans, entries_per_cluster: 7}"),
          fmt::format("{{type: {}, max_members: 5, buffer_every: 3}}", test::kSplitting)}) {
      for (const char* kept : {"all", "area", "in_place", "representatives on flash"}) {
        Setup setup;
        setup.clustering = clustering;
        setup.scorer = "centroid";
        setup.layout = "cluster_contiguous";
        setup.replacement = replacement;
        setup.check = "every_step";
        setups.push_back(kept_as(kept, setup));
      }
    }
  }
  return setups;
}

TEST_CASE("everything that is in DRAM fits system.dram after every step, down to the least that is told") {
  for (Setup setup : caching_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.schedule);
    setup.dram_bytes = 1024;
    const std::int64_t least = least_bytes_told(fixture().error_of(setup));
    for (const std::int64_t dram : {least, least + 512, least + 2048, least * 4}) {
      CAPTURE(dram);
      setup.dram_bytes = dram;
      const PointResult result = fixture().run(setup);
      CHECK(largest_dram(result) <= static_cast<double>(dram));
    }
    setup.dram_bytes = least - 1024;
    CHECK(least_bytes_told(fixture().error_of(setup)) == least);
  }
}

TEST_CASE("scopes share what is left") {
  for (const char* scope : {"model", "layer", "head"}) {
    Setup setup;
    setup.replacement = "lru";
    setup.cache_scope = scope;
    setup.dram_bytes = 20 * 1024;  // with all entries cached it would be 21,952 bytes
    const PointResult result = fixture().run(setup);
    CHECK(largest_dram(result) <= 20.0 * 1024);
    CHECK(largest_dram(result) > 19.0 * 1024);
    CHECK(total(result, Metric::hit_units) > 0.0);
  }
}

TEST_CASE("with DRAM enough for all, the cache keeps all; a smaller capacity still limits it") {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = 1 << 24;
  const PointResult all = fixture().run(setup);
  setup.cache_bytes = 0;
  setup.dram_bytes = 1 << 24;
  CHECK(test::same_bits(all, fixture().run(setup)));

  setup.dram_bytes = 0;
  setup.cache_bytes = 40 * kEntryBytes;
  const PointResult forty = fixture().run(setup);
  setup.dram_bytes = 1 << 24;
  CHECK(test::same_bits(forty, fixture().run(setup)));
}

TEST_CASE("the oracle is given room as the others are") {
  Setup setup;
  setup.dram_bytes = 24 * 1024;
  setup.replacement = "lru";
  const double hits = total(fixture().run(setup), Metric::hit_units);
  setup.replacement = "belady";
  const PointResult best = fixture().run(setup);
  CHECK(largest_dram(best) <= 24.0 * 1024);
  CHECK(total(best, Metric::hit_units) >= hits);
}

TEST_CASE("without caches system.dram is a bound that holds or not") {
  Setup setup;
  setup.dram_bytes = 1024;
  const std::int64_t least = least_bytes_told(fixture().error_of(setup));
  setup.dram_bytes = least;
  const PointResult result = fixture().run(setup);
  setup.dram_bytes = 0;
  CHECK(test::same_bits(result, fixture().run(setup)));
}

TEST_CASE("too little is an error that names every purpose") {
  Setup setup;
  setup.replacement = "lru";
  setup.dram_bytes = 1024;
  const std::string error = fixture().error_of(setup);
  CHECK(error.starts_with(
      "config.yaml:16:3: system.dram: 1KiB are less than what must be in DRAM for point 'test': "
      "representatives 1"));
  for (const char* purpose : {"representatives", "metadata", "pinned entries", "wait to be written",
                              "a layer reads", "smallest caches", "give at least"}) {
    CHECK(error.find(purpose) != std::string::npos);
  }
}

TEST_CASE("a cache that is swapped layer by layer cannot be shared by all layers") {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_holds = "layer";
  setup.dram_bytes = 1 << 20;
  CHECK(fixture().error_of(setup) ==
        "config.yaml:14:25: system.cache.scope: 'model' lets one layer take the room of all, but one layer's "
        "cache is in DRAM at a time (config.yaml:14:39: system.cache.holds), so that no share of system.dram "
        "(config.yaml:16:3: system.dram) can be held; allowed: layer, head");
}

}  // namespace
}  // namespace kvr

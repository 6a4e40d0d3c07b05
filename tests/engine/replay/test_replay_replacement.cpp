// Every replacement policy there is, in whole replays.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// Gives up the smallest id and checks what the engine promises: the sizes it tells add up to more than the
/// capacity whenever it asks for a victim.
class Books final : public Replacement {
 public:
  static constexpr std::string_view kName = "test_books";
  static constexpr std::string_view kDoc = "Checks what the engine tells a policy, for tests.";
  static constexpr std::string_view kSource = "ours";
  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Books(Params, const Context& context) : capacity_bytes_(context.capacity_bytes) {}

  void touched(CacheObject object, std::int64_t bytes, bool hit) override {
    KVR_CHECK(bytes > 0 && (!hit || bytes_.contains(object)), "a hit on what is not resident");
    bytes_[object] = bytes;
  }
  void updated(CacheObject object, std::int64_t bytes) override { bytes_[object] = bytes; }
  CacheObject victim() override {
    std::int64_t sum = 0;
    for (const auto& [object, bytes] : bytes_) {
      sum += bytes;
    }
    KVR_CHECK(sum > capacity_bytes_, "a victim was asked for at {} of {} bytes", sum, capacity_bytes_);
    return bytes_.extract(bytes_.begin()).key();
  }

 private:
  std::int64_t capacity_bytes_;
  std::map<CacheObject, std::int64_t> bytes_;
};

const Registration<Replacement, Books> registered;

bool is_oracle(const std::string& name) {
  return test::make<Replacement>(name, {.capacity_bytes = 1 << 20, .root_seed = 1})->needs_future();
}

/// Each policy with pages, clusters, and units that split and ask for loads; small and large caches.
std::vector<Setup> setups_of(const std::string& replacement) {
  std::vector<Setup> setups;
  for (const std::string& clustering :
       {std::string("{type: page, page_tokens: 8}"), std::string("{type: kmeans, entries_per_cluster: 7}"),
        fmt::format("{{type: {}, max_members: 5, buffer_every: 3}}", test::kSplitting)}) {
    for (const std::int64_t cached_entries : {2, 15, 60, 1000}) {
      Setup setup;
      setup.clustering = clustering;
      setup.scorer = "centroid";
      setup.layout = "cluster_contiguous";
      setup.replacement = replacement;
      setup.cache_bytes = cached_entries * test::kEntryBytes;
      setup.cache_scope = cached_entries == 15 ? "layer" : "model";
      setups.push_back(setup);
    }
  }
  return setups;
}

TEST_CASE("every replacement policy keeps its budget, gives the same bits twice and keeps what fits") {
  for (const auto& [name, implementation] : Catalogue::instance().kind(Replacement::kKind)) {
    for (const Setup& setup : setups_of(name)) {
      if (is_oracle(name) && setup.clustering.find(test::kSplitting) != std::string::npos) {
        continue;  // what it asks for depends on the cache; see below
      }
      CAPTURE(setup.describe());
      CAPTURE(setup.cache_bytes);
      const PointResult result = fixture().run(setup);
      CHECK(largest(result, Metric::cache_bytes) <= static_cast<double>(setup.cache_bytes));
      CHECK(test::same_bits(result, fixture().run(setup)));
      if (setup.cache_bytes >= 1000 * test::kEntryBytes && name != "none") {
        Setup recent = setup;
        recent.replacement = "lru";  // nothing is ever given up
        CHECK(test::same_bits(result, fixture().run(recent)));
      }
    }
  }
}

TEST_CASE("belady: where units have one size, no replacement policy has more hits in a replay") {
  for (const std::int64_t cached_entries : {4, 20, 60}) {
    for (const char* scope : {"model", "layer", "head"}) {
      Setup setup;
      setup.cache_bytes = cached_entries * test::kEntryBytes;
      setup.cache_scope = scope;
      setup.replacement = "belady";
      const double most = total(fixture().run(setup), Metric::hit_units);
      CHECK(most > 0.0);
      for (const auto& [name, implementation] : Catalogue::instance().kind(Replacement::kKind)) {
        CAPTURE(name);
        setup.replacement = name;
        CHECK(total(fixture().run(setup), Metric::hit_units) <= most);
      }
    }
  }
}

TEST_CASE("belady: the results are stamped as an oracle's, and progress counts the recording too") {
  Setup setup;
  setup.cache_bytes = 20 * test::kEntryBytes;
  setup.replacement = "belady";
  std::vector<std::int64_t> done;
  const PointResult result = fixture().run(setup, [&done](std::int64_t steps, std::int64_t all) {
    CHECK(all == 80);
    done.push_back(steps);
  });
  REQUIRE(done.size() == 80);
  CHECK(done.front() == 1);
  CHECK(std::ranges::is_sorted(done));
  CHECK(done.back() == 80);
  REQUIRE_FALSE(result.notes.empty());
  CHECK(result.notes.back() == "oracle: replacement 'belady' knows every access to come, as no system can");
  setup.replacement = "lru";
  CHECK(fixture().run(setup).notes.size() + 1 == result.notes.size());
}

TEST_CASE("belady: a clustering whose accesses depend on the cache is refused by name") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 5, buffer_every: 3}}", test::kSplitting);
  setup.scorer = "centroid";
  setup.layout = "cluster_contiguous";
  setup.replacement = "belady";
  setup.cache_bytes = 15 * test::kEntryBytes;
  CHECK(fixture().error_of(setup) ==
        fmt::format(
            "config.yaml:13:3: system.replacement: 'belady' needs accesses that do not depend on the cache, "
            "but "
            "clustering '{}' (config.yaml:8:3: system.clustering) asks for other units when other units are "
            "resident; allowed is another replacement, or a clustering that does not look at residency",
            test::kSplitting));
}

}  // namespace
}  // namespace kvr

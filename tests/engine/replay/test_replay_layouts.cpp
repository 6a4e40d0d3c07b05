// What the layouts of DynaKV cost in a replay: moved bytes, write buffers, co-retrieval.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::largest;
using test::Setup;
using test::smallest;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

Setup clusters(const std::string& layout) {
  Setup setup;
  setup.clustering = "{type: kmeans, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.layout = layout;
  setup.recent = 0;
  return setup;
}

TEST_CASE("appends move units of the naive layout and none of the dual-head layout") {
  const PointResult naive = fixture().run(clusters("cluster_by_cluster"));
  const PointResult dual = fixture().run(clusters("dual_head"));
  CHECK(total(naive, Metric::moved_bytes) > 0.0);
  CHECK(total(naive, Metric::outgrown_units) > 0.0);
  CHECK(total(dual, Metric::moved_bytes) == 0.0);
  CHECK(total(naive, Metric::appended_bytes) == 40.0 * test::kHeads * kEntryBytes);
  CHECK(total(dual, Metric::appended_bytes) == 40.0 * test::kHeads * kEntryBytes);
  for (const PointResult* result : {&naive, &dual}) {
    CHECK(total(*result, Metric::write_bytes) >=
          total(*result, Metric::moved_bytes) + total(*result, Metric::appended_bytes));
    CHECK(largest(*result, Metric::write_buffer_bytes) == 0.0);
  }
}

TEST_CASE("moved entries that are not in DRAM are read back, with a cache for everything none are") {
  Setup setup = clusters("cluster_by_cluster").with_budget(0);  // so that steps read nothing themselves
  CHECK(total(fixture().run(setup), Metric::read_bytes) >= total(fixture().run(setup), Metric::moved_bytes));
  setup.sinks = 1000;  // everything is pinned
  const PointResult pinned = fixture().run(setup);
  CHECK(total(pinned, Metric::moved_bytes) > 0.0);
  CHECK(total(pinned, Metric::read_bytes) == 0.0);
}

TEST_CASE("write buffers save writes and reads, take DRAM and change nothing that attention sees") {
  for (const char* const name : {"cluster_by_cluster", "dual_head"}) {
    for (const char* const replacement : {"none", "lru"}) {
      CAPTURE(name);
      CAPTURE(replacement);
      Setup setup = clusters(name);
      setup.replacement = replacement;
      setup.cache_bytes = 50 * kEntryBytes;
      const PointResult through = fixture().run(setup);
      setup.layout = fmt::format("{{type: {}, page_buffer: 512B, hot_steps: 20}}", name);
      const PointResult waiting = fixture().run(setup);
      CHECK(total(waiting, Metric::write_bytes) < total(through, Metric::write_bytes));
      CHECK(total(waiting, Metric::appended_bytes) <= total(through, Metric::appended_bytes));
      CHECK(largest(waiting, Metric::write_buffer_bytes) > 0.0);
      CHECK(total(waiting, Metric::useful_read_bytes) < total(through, Metric::useful_read_bytes));
      CHECK(total(waiting, Metric::hit_bytes) > total(through, Metric::hit_bytes));
      for (const Metric metric :
           {Metric::recall, Metric::mass, Metric::output_error, Metric::demanded_bytes}) {
        CHECK(test::same_bits(waiting, through, metric));
      }
    }
  }
}

TEST_CASE("pinned entries are in DRAM anyway and count no second time in the write buffer") {
  Setup setup = clusters("{type: dual_head, page_buffer: 1MiB, hot_steps: 3}");
  CHECK(largest(fixture().run(setup), Metric::write_buffer_bytes) > 0.0);
  setup.recent = 200;
  CHECK(largest(fixture().run(setup), Metric::write_buffer_bytes) == 0.0);
}

TEST_CASE("correlated pairing says what it counted; pairing in order asks nothing and says nothing") {
  const PointResult correlated = fixture().run(clusters("{type: dual_head, pairing: correlated}"));
  const PointResult order = fixture().run(clusters("{type: dual_head, pairing: order}"));
  const std::vector<std::string> plain{"hit_rate: replacement 'none' keeps nothing"};
  CHECK(order.notes == plain);
  REQUIRE(correlated.notes.size() == 2);
  CHECK(correlated.notes.front() == plain.front());
  CHECK(correlated.notes.back().starts_with("co-retrieval: counted over 3 queries of the prompt"));
  for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error, Metric::demanded_bytes,
                              Metric::policy_s, Metric::representative_bytes}) {
    CHECK(test::same_bits(correlated, order, metric));
  }
}

TEST_CASE("splits move less in dual-head pools than one by one") {
  Setup setup;
  setup.clustering = fmt::format("{{type: {}, max_members: 9}}", test::kSplitting);
  setup.layout = "cluster_by_cluster";
  const double naive = total(fixture().run(setup), Metric::moved_bytes);
  setup.layout = "dual_head";
  const double dual = total(fixture().run(setup), Metric::moved_bytes);
  CHECK(dual > 0.0);
  CHECK(dual < naive);
}

}  // namespace
}  // namespace kvr

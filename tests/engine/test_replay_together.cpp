// Points side by side: the same results as one by one.
#include <doctest/doctest.h>

#include <vector>

#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

using test::Setup;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture shared;
  return shared;
}

/// Points that differ in all that could leak from one to the next: codec, pins, budget, co-retrieval, future.
std::vector<Setup> unlike() {
  std::vector<Setup> setups(5);
  setups[1].codec = "int8";
  setups[1].sinks = 0;
  setups[1].recent = 9;
  setups[2].clustering = "{type: adaptive, entries_per_cluster: 7}";
  setups[2].scorer = "centroid";
  setups[2].layout = "{type: dual_head, pairing: correlated}";
  setups[2].replacement = "cluster_aligned";
  setups[2].cache_bytes = 60 * test::kEntryBytes;
  setups[2] = setups[2].layer_by_layer();
  setups[3].replacement = "belady";
  setups[3].cache_bytes = 20 * test::kEntryBytes;
  setups[3].budget = "{type: fixed, entries: 17}";
  setups[4].fold = "none";
  setups[4].codec = "int4";
  setups[4].check = "every_step";
  return setups;
}

TEST_CASE("points side by side have the results they have one by one, bit for bit, with any threads") {
  for (const std::int64_t threads : {1, 3}) {
    std::vector<Setup> setups = unlike();
    for (Setup& setup : setups) {
      setup.threads = threads;
    }
    const std::vector<PointResult> together = fixture().run_together(setups);
    REQUIRE(together.size() == setups.size());
    for (std::size_t i = 0; i < setups.size(); ++i) {
      CAPTURE(setups[i].describe());
      const PointResult alone = fixture().run(setups[i]);
      CHECK(test::same_bits(together[i], alone));
      CHECK(together[i].notes == alone.notes);
      CHECK(together[i].resolved_config == alone.resolved_config);
    }
  }
}

TEST_CASE("points side by side: progress counts the steps of all points and the recordings of oracles") {
  std::vector<Setup> setups = unlike();
  for (Setup& setup : setups) {
    setup.steps = 3;
  }
  std::vector<std::int64_t> seen;
  fixture().run_together(setups, [&](std::int64_t done, std::int64_t all) {
    CHECK(all == 18);
    seen.push_back(done);
  });
  REQUIRE(seen.size() == 18);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    CHECK(seen[i] == static_cast<std::int64_t>(i) + 1);
  }
}

TEST_CASE("points side by side: a timeline has the bytes it has one by one") {
  const TemporaryFolder folder;
  const std::vector<Setup> setups = unlike();
  Timeline together({1, 2});
  fixture().run_together(setups, {}, &together);
  together.write(folder / "together.json");
  Timeline apart({1, 2});
  for (const Setup& setup : setups) {
    fixture().run(setup, {}, &apart);
  }
  apart.write(folder / "apart.json");
  CHECK(test::read_text(folder / "together.json") == test::read_text(folder / "apart.json"));
}

TEST_CASE("only points that take the same steps of one trace with the same threads share a walk") {
  const RunConfig one = fixture().config({});
  CHECK(same_walk(one, fixture().config(unlike()[2])));
  Setup other;
  other.steps = 7;
  CHECK_FALSE(same_walk(one, fixture().config(other)));
  other = {};
  other.first_step = 7;
  CHECK_FALSE(same_walk(one, fixture().config(other)));
  other = {};
  other.threads = 2;
  CHECK_FALSE(same_walk(one, fixture().config(other)));
  const test::ReplayFixture copy;
  CHECK_FALSE(same_walk(one, copy.config({})));
}

}  // namespace
}  // namespace kvr

#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/policies/layout/layout_support.hpp"

namespace kvr {
namespace {

using test::Offsets;

struct Fixture : test::OneHead {
  explicit Fixture(std::vector<std::vector<EntryIndex>> prompt, const std::string& pairing = "order",
                   std::vector<CoRetrieval> co_retrieval = {})
      : OneHead("dual_head", {{"min_pool_entries", std::int64_t{2}}, {"pairing", pairing}}, std::move(prompt),
                std::move(co_retrieval)) {}
};

/// Pools of 8 entries: twice 3, in blocks of 4.
Fixture four_units() {
  return Fixture({{0, 1}, {2, 3, 4}, {5}, {6, 7}});
}

TEST_CASE("dual_head: two units in a pool, from its ends inwards; pools of twice the largest unit") {
  const Fixture f = four_units();
  CHECK(f.offsets(0) == Offsets{0, 100});
  CHECK(f.offsets(1) == Offsets{700, 600, 500});
  CHECK(f.offsets(2) == Offsets{800});
  CHECK(f.offsets(3) == Offsets{1500, 1400});
  CHECK(f.layout->space_bytes() == 1600);
  CHECK(f.traffic.appended_bytes == 800);
  CHECK(f.traffic.moved.empty());
}

TEST_CASE("dual_head: appended entries go inwards and nothing moves") {
  Fixture f = four_units();
  f.append(0, 8);
  CHECK(f.traffic.writes == std::vector<Extent>{{200, 100}});
  f.append(1, 9);
  CHECK(f.traffic.writes == std::vector<Extent>{{400, 100}});
  f.append(1, 10);
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  CHECK(f.offsets(1) == Offsets{700, 600, 500, 400, 300});  // more than half, as its partner leaves room
  CHECK(f.traffic.outgrown == 0);
  CHECK(f.layout->space_bytes() == 1600);
}

TEST_CASE("dual_head: a unit that meets its partner goes on in another pool, and so does the partner") {
  Fixture f = four_units();
  for (const EntryIndex entry : {8, 9, 10}) {
    f.append(0, entry);
  }
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300, 400});
  f.append(1, 11);  // the pool is full
  CHECK(f.offsets(1) == Offsets{700, 600, 500, 1600});
  CHECK(f.traffic.outgrown == 1);
  CHECK(f.traffic.moved.empty());
  f.append(0, 12);  // an empty end with half a pool
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300, 400, 2300});
  CHECK(f.traffic.outgrown == 1);
  f.append(1, 13);
  CHECK(f.offsets(1) == Offsets{700, 600, 500, 1600, 1700});
  CHECK(f.traffic.outgrown == 0);
  CHECK(f.layout->space_bytes() == 2400);
}

TEST_CASE("dual_head: a split closes up one child at its end and pairs the other with a lone unit") {
  Fixture f({{0, 1, 2, 3}, {4, 5}, {6}});  // pools of 8; unit 2 is alone
  f.split(0, {0, 2}, {1, 3});
  CHECK(f.offsets(0) == Offsets{0, 100});
  CHECK(f.offsets(3) == Offsets{1500, 1400});
  CHECK(f.moved() == std::vector<EntryIndex>{2, 1, 3});
  CHECK(f.traffic.moved[0].from == Extent{200, 100});
  CHECK(f.traffic.appended_bytes == 0);
  CHECK(f.layout->space_bytes() == 1600);
}

TEST_CASE("dual_head: new units without a lone one get a new pool and are partners there") {
  Fixture f({{0, 1, 2, 3}, {4, 5}});
  f.split(1, {4}, {5});
  CHECK(f.offsets(2) == Offsets{800});
  f.split(0, {0, 1, 2}, {3});
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  CHECK(f.offsets(3) == Offsets{1500});
  CHECK(f.moved() == std::vector<EntryIndex>{3});  // the last record leaves no hole
  CHECK(f.layout->space_bytes() == 1600);
}

TEST_CASE("dual_head: a lone unit with more than half of its pool gets no partner") {
  Fixture f({{0, 1, 2, 3}, {4, 5}, {6}});
  for (const EntryIndex entry : {7, 8, 9, 10}) {
    f.append(2, entry);
  }
  f.split(0, {0}, {1, 2, 3});
  CHECK(f.offsets(3) == Offsets{1600, 1700, 1800});
}

TEST_CASE("dual_head: an end that its unit gave up with a split is used again") {
  Fixture f({{0, 1}, {2, 3}});  // pools of 4
  f.append(0, 4);               // goes on in pool [400, 800)
  CHECK(f.offsets(0) == Offsets{0, 100, 400});
  f.split(0, {0, 4}, {1});  // 4 comes back, its end is empty for the new unit
  CHECK(f.offsets(0) == Offsets{0, 100});
  CHECK(f.offsets(2) == Offsets{400});
  CHECK(f.layout->space_bytes() == 800);
}

TEST_CASE("dual_head: pending entries of a split unit are written once, into the holes") {
  Fixture f({{0, 1, 2, 3}, {4}});
  f.units.units = {{0, 3, 5}, {4}, {1, 2, 6}};  // 5 and 6 were pending
  f.update({{.kind = ChangeKind::split, .unit = 0, .other = 2}});
  CHECK(f.offsets(0) == Offsets{0, 200, 100});
  CHECK(f.offsets(2) == Offsets{800, 900, 1000});
  CHECK(f.moved() == std::vector<EntryIndex>{3, 1, 2});
  CHECK(f.traffic.appended_bytes == 200);
}

TEST_CASE("dual_head: regrouped, entries of other units fill the holes, and a new unit gets an empty end") {
  Fixture f({{0, 1, 2}, {3, 4, 5}});            // a pool of 8
  f.units.units = {{0, 1, 3}, {2, 4}, {5, 6}};  // 6 was pending
  f.update({{.kind = ChangeKind::regrouped, .unit = -1}});
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  CHECK(f.offsets(1).size() == 2);
  CHECK(f.offsets(2).size() == 2);
  std::vector<EntryIndex> moved = f.moved();
  std::ranges::sort(moved);
  CHECK(moved == std::vector<EntryIndex>{2, 3, 5});
  CHECK(f.traffic.appended_bytes == 100);
  f.layout->check();
}

TEST_CASE("dual_head: units that are selected together share a pool, and neighbours touch across pools") {
  // as in the test of the pairs: {5, 1}, {0, 3}, {4, 2}; pools of 4
  const Fixture f({{0}, {1, 6}, {2}, {3}, {4}, {5}}, "correlated",
                  {{0, 1, 4}, {0, 3, 9}, {0, 4, 1}, {1, 2, 2}, {1, 5, 7}, {2, 4, 6}, {2, 5, 1}, {3, 4, 5}});
  CHECK(f.offsets(5) == Offsets{0});
  CHECK(f.offsets(1) == Offsets{300, 200});
  CHECK(f.offsets(0) == Offsets{400});
  CHECK(f.offsets(3) == Offsets{700});
  CHECK(f.offsets(4) == Offsets{800});
  CHECK(f.offsets(2) == Offsets{1100});
}

TEST_CASE("dual_head: only correlated pairing asks for co-retrieval") {
  const Layout::Context context = {.kv_heads = 1, .entry_bytes = 100, .block_bytes = 400, .root_seed = 1};
  CHECK(test::make<Layout>("dual_head", {}, context)->wants_co_retrieval());
  CHECK_FALSE(
      test::make<Layout>("dual_head", {{"pairing", std::string("order")}}, context)->wants_co_retrieval());
}

/// Records of a unit by pool and end; a record lies in the lower or upper part of the pool's used bytes.
void check_pools(const Layout& layout, const Clustering& clustering, std::int64_t pool_bytes) {
  std::map<std::int64_t, std::set<UnitId>> units_of_pool;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    std::vector<Extent> extents;
    layout.locate(0, unit, clustering.members(unit), extents);
    std::map<std::int64_t, std::vector<Extent>> of_pool;
    for (const Extent& extent : extents) {
      REQUIRE(extent.offset_bytes / pool_bytes == (extent.end_bytes() - 1) / pool_bytes);
      of_pool[extent.offset_bytes / pool_bytes].push_back(extent);
    }
    for (auto& [pool, records] : of_pool) {
      units_of_pool[pool].insert(unit);
      std::ranges::sort(records, {}, &Extent::offset_bytes);
      const std::int64_t first = records.front().offset_bytes;
      const std::int64_t end = records.back().end_bytes();
      REQUIRE(end - first == 96 * std::ssize(records));  // one piece, at an end of the pool
      REQUIRE((first == pool * pool_bytes || end == (pool + 1) * pool_bytes));
    }
  }
  for (const auto& [pool, units] : units_of_pool) {
    REQUIRE(units.size() <= 2);
  }
}

TEST_CASE("dual_head: over 200 random streams units stay at the ends of pools, two at most, never meeting") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const test::Sequence sequence = test::Sequence::random(150, 1, rng);
    test::RandomClustering clustering(rng, 20);
    const Clustering* head = &clustering;
    const auto layout =
        test::make<Layout>("dual_head", {{"pairing", std::string("order")}},
                           {.kv_heads = 1, .entry_bytes = 96, .block_bytes = 512, .root_seed = 1});
    ChangeList changes;
    Work work;
    LayoutTraffic traffic;
    clustering.build(sequence.view(30), changes, work);
    layout->place({.heads = {&head, 1}}, traffic);
    const std::int64_t pools = (clustering.unit_count() + 1) / 2;
    const std::int64_t pool_bytes = layout->space_bytes() / pools;
    for (EntryIndex entry = 30; entry < 150; ++entry) {
      changes.clear();
      clustering.append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
      layout->update(0, changes, clustering, traffic);
      REQUIRE(layout->space_bytes() % pool_bytes == 0);
      REQUIRE_NOTHROW(layout->check());
      check_pools(*layout, clustering, pool_bytes);
    }
  }
}

TEST_CASE(
    "dual_head: a removed entry leaves a hole for its unit; an end, or a pool, without entries is free") {
  Fixture f = four_units();
  f.remove({3});
  CHECK_FALSE(f.wrote());
  CHECK(f.offsets(1) == Offsets{700, 500});
  f.append(1, 8);
  CHECK(f.traffic.writes == std::vector<Extent>{{600, 100}});
  f.remove({4});  // the inner end: room for both again
  f.append(0, 9);
  f.append(0, 10);
  f.append(0, 11);
  f.append(0, 12);
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 300, 400, 500});
  f.remove({2, 8});
  f.remove({1, 9, 10, 11, 12});
  f.create({13});  // at the end that unit 1 left
  CHECK(f.offsets(4) == Offsets{700});
  f.remove({0, 13});
  f.create({14, 15, 16, 17, 18, 19, 20, 21});  // all of the pool
  CHECK(f.offsets(5) == Offsets{0, 100, 200, 300, 400, 500, 600, 700});
  f.append(1, 22);  // a unit that has come back
  CHECK(f.offsets(1) == Offsets{1600});
  CHECK(f.traffic.outgrown == 0);
  f.layout->check();
}

}  // namespace
}  // namespace kvr

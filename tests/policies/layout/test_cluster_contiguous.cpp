#include <doctest/doctest.h>

#include "sim/interfaces/layout.hpp"
#include "tests/policies/layout/layout_support.hpp"

namespace kvr {
namespace {

using test::Offsets;
using test::Units;

struct Fixture : test::OneHead {
  Fixture(const ParamValues& values, std::vector<std::vector<EntryIndex>> prompt)
      : OneHead("cluster_contiguous", values, std::move(prompt)) {}
};

TEST_CASE("cluster_contiguous: prompt units follow one another, their entries in one piece") {
  const Fixture f({}, {{0, 3, 5}, {1, 2, 4}});
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  CHECK(f.offsets(1) == Offsets{300, 400, 500});
  CHECK(f.traffic.writes == std::vector<Extent>{{0, 600}});
  CHECK(f.layout->space_bytes() == 600);
}

TEST_CASE("cluster_contiguous: a full unit gets a segment of whole blocks at the end and nothing moves") {
  Fixture f({}, {{0, 3, 5}, {1, 2, 4}});
  f.append(0, 6);  // half of four entries is less than a block: four records from the next block on
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 800});
  CHECK(f.layout->space_bytes() == 1200);
  f.append(0, 7);
  CHECK(f.offsets(0) == Offsets{0, 100, 200, 800, 900});
  CHECK(f.traffic.writes == std::vector<Extent>{{900, 100}});
  CHECK(f.traffic.moved_bytes() == 0);
  CHECK(f.layout->space_bytes() == 1200);
  f.append(1, 8);
  CHECK(f.offsets(1) == Offsets{300, 400, 500, 1200});
}

TEST_CASE("cluster_contiguous: a growth of 2 doubles the segment, slack leaves room in the first one") {
  Fixture grown({{"growth", 2.0}}, {{0, 1, 2}});
  grown.append(0, 3);  // 2 * 400 bytes: two blocks from 400 on
  CHECK(grown.layout->space_bytes() == 1200);

  Fixture slack({{"slack", 0.5}}, {{0, 1}, {2, 3}});
  CHECK(slack.layout->space_bytes() == 600);
  slack.append(0, 4);
  CHECK(slack.offsets(0) == Offsets{0, 100, 200});
  CHECK(slack.layout->space_bytes() == 600);
}

TEST_CASE(
    "cluster_contiguous: a split moves the new unit's members; their records serve the old unit again") {
  Fixture f({}, {{0, 1, 2, 3}});
  f.traffic.clear();
  f.units.units = {{0, 2}, {1, 3}};
  const Change change = {.kind = ChangeKind::split, .unit = 0, .other = 1};
  f.layout->update(0, {&change, 1}, f.units, f.traffic);
  CHECK(f.offsets(0) == Offsets{0, 200});
  CHECK(f.offsets(1) == Offsets{400, 500});
  REQUIRE(f.traffic.moved.size() == 2);
  CHECK(f.traffic.moved[0].entry == 1);
  CHECK(f.traffic.moved[0].from == Extent{100, 100});
  CHECK(f.traffic.writes == std::vector<Extent>{{400, 200}});
  CHECK(f.traffic.moved_bytes() == 200);
  CHECK(f.traffic.appended_bytes == 0);

  f.append(0, 4);
  CHECK(f.offsets(0) == Offsets{0, 200, 100});
  CHECK(f.layout->space_bytes() == 600);
}

TEST_CASE("cluster_contiguous: regrouped, entries change places, and a new unit has a segment of its own") {
  Fixture f({}, {{0, 1, 2}, {3, 4, 5}});
  f.units.units = {{0, 1, 3}, {2, 4}, {5, 6}};  // 6 was pending
  f.update({{.kind = ChangeKind::regrouped, .unit = -1}});
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  CHECK(f.offsets(1) == Offsets{300, 400});
  CHECK(f.offsets(2) == Offsets{600, 700});
  CHECK(f.moved() == std::vector<EntryIndex>{3, 2, 5});
  CHECK(f.traffic.moved_bytes() == 300);
  CHECK(f.traffic.appended_bytes == 100);
  CHECK(f.layout->space_bytes() == 800);
}

TEST_CASE("cluster_contiguous: a new entry that is split off at once is written once") {
  Fixture f({}, {{0, 1}});
  f.traffic.clear();
  f.units.units = {{0, 1}, {2}};
  const std::vector<Change> changes = {{.kind = ChangeKind::appended, .unit = 0, .entry = 2},
                                       {.kind = ChangeKind::split, .unit = 0, .other = 1}};
  f.layout->update(0, changes, f.units, f.traffic);
  CHECK(f.offsets(1) == Offsets{200});
  CHECK(f.traffic.appended_bytes == 100);
  CHECK(f.traffic.moved_bytes() == 0);
}

TEST_CASE("cluster_contiguous: entries larger than a block get blocks enough") {
  Units units;
  units.units = {{0}};
  const auto layout = test::make<Layout>(
      "cluster_contiguous", {}, {.kv_heads = 1, .entry_bytes = 1000, .block_bytes = 400, .root_seed = 1});
  LayoutTraffic traffic;
  const Clustering* head = &units;
  layout->place({.heads = {&head, 1}}, traffic);
  units.units[0].push_back(1);
  const Change change = {.kind = ChangeKind::appended, .unit = 0, .entry = 1};
  layout->update(0, {&change, 1}, units, traffic);
  CHECK(layout->space_bytes() == 1200 + 1200);
}

/// Pages of four entries, which are waited for three steps.
Fixture buffered() {
  return {{{"page_buffer", std::int64_t{400}}, {"wait_steps", std::int64_t{3}}}, {{0, 3, 5}, {1, 2, 4}}};
}

void create(Fixture& f, const std::vector<EntryIndex>& members) {
  f.units.units.push_back(members);
  f.update({{.kind = ChangeKind::created, .unit = static_cast<UnitId>(f.units.unit_count() - 1)}});
}

TEST_CASE("cluster_contiguous: new units wait for the page that the next one completes") {
  Fixture f = buffered();
  CHECK(f.traffic.writes == std::vector<Extent>{{0, 600}});
  CHECK(f.traffic.appended_bytes == 600);
  create(f, {6, 7, 8});
  CHECK(f.traffic.writes == std::vector<Extent>{{600, 200}});
  CHECK(f.traffic.appended_bytes == 200);
  CHECK(f.unwritten() == std::vector<EntryIndex>{8});
  f.update({});
  f.update({});
  create(f, {9, 10, 11});  // the third step
  CHECK(f.traffic.writes == std::vector<Extent>{{800, 400}});
  CHECK(f.unwritten().empty());
  CHECK(f.offsets(3) == Offsets{900, 1000, 1100});
}

TEST_CASE("cluster_contiguous: a page that nothing comes to is written as it is") {
  Fixture f = buffered();
  f.append(0, 6);  // four records from 800 on
  f.update({});
  f.append(0, 7);
  f.update({});
  f.update({});
  CHECK(f.traffic.writes.empty());
  CHECK(f.unwritten() == std::vector<EntryIndex>{6, 7});
  f.update({});
  CHECK(f.traffic.writes == std::vector<Extent>{{800, 200}});
  CHECK(f.traffic.appended_bytes == 200);
  CHECK(f.unwritten().empty());
}

TEST_CASE("cluster_contiguous: what a split takes off before it is written has not moved") {
  Fixture f = buffered();
  f.append(0, 6);
  f.split(0, {0, 3}, {5, 6});
  CHECK(f.moved() == std::vector<EntryIndex>{5});
  CHECK(f.traffic.writes == std::vector<Extent>{{1200, 100}});
  CHECK(f.traffic.appended_bytes == 0);
  CHECK(f.unwritten() == std::vector<EntryIndex>{6});
}

TEST_CASE("cluster_contiguous: a removed entry's record is its unit's next one") {
  Fixture f({}, {{0, 3, 5}, {1, 2, 4}});
  f.remove({3});
  CHECK_FALSE(f.wrote());
  CHECK(f.offsets(0) == Offsets{0, 200});
  f.append(0, 6);
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 100}});
  CHECK(f.traffic.outgrown == 0);
  CHECK(f.layout->space_bytes() == 600);
}

TEST_CASE("cluster_contiguous: a unit without entries gives its segments back, whole blocks too") {
  Fixture f({}, {{0, 3, 5}, {1, 2, 4}});
  f.remove({1, 2});
  f.create({7});  // unit 1 keeps its segment for entry 4
  CHECK(f.offsets(2) == Offsets{600});
  f.remove({4});
  f.create({8, 9});
  CHECK(f.offsets(3) == Offsets{300, 400});
  f.append(1, 10);  // a block, from 800 on
  CHECK(f.offsets(1) == Offsets{800});
  f.remove({7, 10});  // [500, 1200) in one piece, with the gap before the block
  f.create({11, 12});
  CHECK(f.offsets(4) == Offsets{500, 600});
  f.append(0, 13);
  CHECK(f.offsets(0).back() == 800);
  CHECK(f.layout->space_bytes() == 1200);
}

TEST_CASE("cluster_contiguous: an entry that waits and is removed is not written; a removal is no step") {
  Fixture f = buffered();
  f.append(0, 6);
  f.append(0, 7);
  f.remove({6, 0});
  CHECK_FALSE(f.wrote());
  CHECK(f.unwritten() == std::vector<EntryIndex>{7});
  f.update({});
  f.remove({1});
  f.update({});
  CHECK(f.traffic.writes.empty());
  f.update({});  // the third step after 7 came
  CHECK(f.traffic.writes == std::vector<Extent>{{900, 100}});
  CHECK(f.traffic.appended_bytes == 100);
}

}  // namespace
}  // namespace kvr

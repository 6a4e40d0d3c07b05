#include <doctest/doctest.h>

#include <array>

#include "tests/policies/layout/layout_support.hpp"

namespace kvr {
namespace {

using test::Offsets;
using test::Units;

struct Fixture : test::OneHead {
  explicit Fixture(std::vector<std::vector<EntryIndex>> prompt, const std::string& on_growth = "relocate")
      : OneHead("cluster_by_cluster", {{"on_growth", on_growth}}, std::move(prompt)) {}
};

TEST_CASE("cluster_by_cluster: prompt units follow one another without a gap") {
  const Fixture f({{0, 3, 5}, {1, 2, 4}});
  CHECK(f.offsets(0) == Offsets{0, 100, 200});
  CHECK(f.offsets(1) == Offsets{300, 400, 500});
  CHECK(f.layout->space_bytes() == 600);
  CHECK(f.traffic.appended_bytes == 600);
}

TEST_CASE("cluster_by_cluster: the last unit grows where it is") {
  Fixture f({{0, 1}, {2, 3}});
  f.append(1, 4);
  CHECK(f.offsets(1) == Offsets{200, 300, 400});
  CHECK(f.traffic.writes == std::vector<Extent>{{400, 100}});
  CHECK(f.traffic.moved.empty());
  CHECK(f.traffic.outgrown == 0);
}

TEST_CASE("cluster_by_cluster: a unit that meets its neighbour moves as a whole, into the first hole") {
  Fixture f({{0, 1}, {2, 3}, {4}});
  f.append(0, 5);  // to the end, [500, 800)
  CHECK(f.offsets(0) == Offsets{500, 600, 700});
  CHECK(f.moved() == std::vector<EntryIndex>{0, 1});
  CHECK(f.traffic.moved[1].from == Extent{100, 100});
  CHECK(f.traffic.moved_bytes() == 200);
  CHECK(f.traffic.appended_bytes == 100);
  CHECK(f.traffic.writes == std::vector<Extent>{{500, 300}});
  CHECK(f.traffic.outgrown == 1);
  f.append(2, 6);  // [400, 500) to the hole [0, 200)
  CHECK(f.offsets(2) == Offsets{0, 100});
  CHECK(f.moved() == std::vector<EntryIndex>{4});
  f.append(1, 7);  // [200, 400) into the bytes that unit 2 left behind it
  CHECK(f.offsets(1) == Offsets{200, 300, 400});
  CHECK(f.traffic.moved.empty());
  CHECK(f.layout->space_bytes() == 800);
}

TEST_CASE("cluster_by_cluster: both children of a split are contiguous, and the bytes left are used again") {
  Fixture f({{0, 1, 2, 3, 4}, {5}});
  f.split(0, {0, 2, 4}, {1, 3});
  // 4 fills the hole of 1; [300, 500) is left, which takes the new unit
  CHECK(f.offsets(0) == Offsets{0, 200, 100});
  CHECK(f.offsets(2) == Offsets{300, 400});
  CHECK(f.moved() == std::vector<EntryIndex>{4, 1, 3});
  CHECK(f.traffic.appended_bytes == 0);
  CHECK(f.layout->space_bytes() == 600);

  Fixture large({{0, 1, 2}, {3}});
  large.split(0, {0}, {1, 2});
  CHECK(large.offsets(0) == Offsets{0});
  CHECK(large.offsets(2) == Offsets{100, 200});  // they happen to lie right already
  CHECK(large.traffic.writes.empty());
  large.append(0, 4);  // [0, 100) is full, no hole takes two entries
  CHECK(large.offsets(0) == Offsets{400, 500});
  large.split(2, {1}, {2});
  CHECK(large.offsets(3) == Offsets{0});  // first fit
}

TEST_CASE("cluster_by_cluster: what joins a unit as it is split fills the holes first") {
  Fixture f({{0, 1, 2}, {3}});
  f.units.units = {{0, 2, 8, 9}, {3}, {1}};  // 8 and 9 were pending
  f.update({{.kind = ChangeKind::split, .unit = 0, .other = 2}});
  CHECK(f.offsets(0) == Offsets{400, 600, 500, 700});  // four do not fit before unit 1
  CHECK(f.moved() == std::vector<EntryIndex>{0, 2, 1});
  CHECK(f.traffic.appended_bytes == 200);
  CHECK(f.traffic.outgrown == 1);
}

TEST_CASE("cluster_by_cluster: where units shift, growth moves everything behind the unit") {
  Fixture f({{0, 1}, {2, 3}, {4}}, "shift");
  CHECK(f.layout->space_bytes() == 500);
  f.append(1, 5);  // [400, 500) of unit 2 moves up
  CHECK(f.offsets(0) == Offsets{0, 100});
  CHECK(f.offsets(1) == Offsets{200, 300, 400});
  CHECK(f.offsets(2) == Offsets{500});
  CHECK(f.moved() == std::vector<EntryIndex>{4});
  CHECK(f.traffic.moved[0].from == Extent{400, 100});
  CHECK(f.traffic.moved[0].head == 0);
  CHECK(f.traffic.appended_bytes == 100);
  CHECK(f.traffic.writes == std::vector<Extent>{{400, 200}});
  CHECK(f.traffic.outgrown == 1);
  f.append(2, 6);  // nothing is behind the last unit
  CHECK(f.offsets(2) == Offsets{500, 600});
  CHECK(f.traffic.moved.empty());
  CHECK(f.traffic.outgrown == 0);
  f.append(0, 7);  // five entries move by one
  CHECK(f.moved() == std::vector<EntryIndex>{2, 3, 5, 4, 6});
  CHECK(f.traffic.moved_bytes() == 500);
  CHECK(f.traffic.writes == std::vector<Extent>{{200, 600}});
  CHECK(f.layout->space_bytes() == 800);
}

TEST_CASE("cluster_by_cluster: where units shift, a split closes the gap and puts the new unit at the end") {
  Fixture f({{0, 1, 2, 3}, {4, 5}}, "shift");
  f.split(0, {0, 2}, {1, 3});
  CHECK(f.offsets(0) == Offsets{0, 100});
  CHECK(f.offsets(1) == Offsets{200, 300});
  CHECK(f.offsets(2) == Offsets{400, 500});
  // 2 fills the hole of 1; 4 and 5 move down; 1 and 3 move to the end. Entry 0 stays.
  CHECK(f.moved() == std::vector<EntryIndex>{2, 4, 5, 1, 3});
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 500}});
  CHECK(f.traffic.appended_bytes == 0);
  CHECK(f.traffic.outgrown == 0);

  // An entry that joins as well takes the byte range that a split frees: what is behind does not move.
  Fixture joined({{0, 1}, {2}}, "shift");
  joined.units.units = {{0, 8}, {2}, {1}};
  joined.update({{.kind = ChangeKind::split, .unit = 0, .other = 2}});
  CHECK(joined.offsets(0) == Offsets{0, 100});
  CHECK(joined.offsets(1) == Offsets{200});
  CHECK(joined.offsets(2) == Offsets{300});
  CHECK(joined.moved() == std::vector<EntryIndex>{1});
}

TEST_CASE(
    "cluster_by_cluster: where units shift, those of other heads move too, and the traffic says whose") {
  std::array<Units, 2> units;
  units[0].units = {{0}};
  units[1].units = {{0, 1}};
  const std::vector<const Clustering*> heads = {&units[0], &units[1]};
  const auto layout =
      test::make<Layout>("cluster_by_cluster", {{"on_growth", std::string("shift")}},
                         {.kv_heads = 2, .entry_bytes = 100, .block_bytes = 400, .root_seed = 1});
  LayoutTraffic traffic;
  layout->place({.heads = heads}, traffic);
  traffic.clear();
  units[0].units[0].push_back(1);
  const Change change = {.kind = ChangeKind::appended, .unit = 0, .entry = 1};
  layout->update(0, {&change, 1}, units[0], traffic);
  REQUIRE(traffic.moved.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(traffic.moved[i].head == 1);
    CHECK(traffic.moved[i].entry == static_cast<EntryIndex>(i));
    CHECK(traffic.moved[i].from.offset_bytes == 100 + 100 * static_cast<std::int64_t>(i));
  }
  CHECK(traffic.writes == std::vector<Extent>{{100, 300}});
}

TEST_CASE("cluster_by_cluster: heads share the space, and units of any head are exactly contiguous") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const test::Sequence sequence = test::Sequence::random(120, 1, rng);
    test::RandomClustering clustering(rng, 20);
    const Clustering* head = &clustering;
    const auto layout = test::make<Layout>(
        "cluster_by_cluster", {}, {.kv_heads = 1, .entry_bytes = 96, .block_bytes = 512, .root_seed = seed});
    ChangeList changes;
    Work work;
    LayoutTraffic traffic;
    clustering.build(sequence.view(30), changes, work);
    layout->place({.heads = {&head, 1}}, traffic);
    for (EntryIndex entry = 30; entry < 120; ++entry) {
      changes.clear();
      clustering.append(entry, sequence.view(entry + 1), test::NothingResident{}, changes, work);
      layout->update(0, changes, clustering, traffic);
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        std::vector<Extent> extents;
        layout->locate(0, unit, clustering.members(unit), extents);
        std::ranges::sort(extents, {}, &Extent::offset_bytes);
        REQUIRE((extents.empty() ||
                 extents.back().end_bytes() - extents.front().offset_bytes == 96 * std::ssize(extents)));
      }
    }
  }
}

TEST_CASE(
    "cluster_by_cluster: a removed entry leaves a hole for its unit's growth; at the end, for any unit") {
  Fixture f({{0, 1, 2}, {3, 4}, {5}});
  f.remove({1});
  CHECK_FALSE(f.wrote());
  CHECK(f.offsets(0) == Offsets{0, 200});
  f.append(0, 6);
  CHECK(f.traffic.writes == std::vector<Extent>{{100, 100}});
  CHECK(f.traffic.moved.empty());
  f.remove({2});
  f.create({7});
  CHECK(f.offsets(3) == Offsets{200});
  f.remove({3});
  f.create({8, 9});  // [300, 400) is unit 1's
  CHECK(f.offsets(4) == Offsets{600, 700});
  f.remove({4});
  f.create({10, 11});
  CHECK(f.offsets(5) == Offsets{300, 400});
  f.append(1, 12);  // a unit that has come back
  CHECK(f.offsets(1) == Offsets{800});
  CHECK(f.traffic.outgrown == 0);
}

TEST_CASE("cluster_by_cluster: a unit that is moved takes no hole along; one that is split is closed up") {
  Fixture f({{0, 1, 2}, {3}});
  f.remove({0});
  f.units.units[0] = {1, 2, 4, 5};
  f.update({{.kind = ChangeKind::appended, .unit = 0, .entry = 4},
            {.kind = ChangeKind::appended, .unit = 0, .entry = 5}});
  CHECK(f.offsets(0) == Offsets{500, 600, 400, 700});
  CHECK(f.moved() == std::vector<EntryIndex>{4, 1, 2});

  Fixture split({{0, 1, 2, 3}, {4}});
  split.remove({1});
  split.split(0, {0, 2}, {3});
  CHECK(split.offsets(0) == Offsets{0, 100});
  CHECK(split.offsets(2) == Offsets{200});
  CHECK(split.moved() == std::vector<EntryIndex>{2, 3});
}

TEST_CASE(
    "cluster_by_cluster: where units shift, a hole is filled by its unit or when what is behind moves") {
  Fixture f({{0, 1}, {2, 3}, {4}}, "shift");
  f.remove({0});
  CHECK_FALSE(f.wrote());
  CHECK(f.offsets(0) == Offsets{100});
  f.layout->check();
  f.append(0, 5);
  CHECK(f.offsets(0) == Offsets{100, 0});
  CHECK(f.traffic.moved.empty());
  f.remove({2});
  f.append(0, 6);  // takes [200, 300), and unit 1 is closed up: nothing has to move
  CHECK(f.offsets(0) == Offsets{100, 0, 200});
  CHECK(f.offsets(1) == Offsets{300});
  CHECK(f.offsets(2) == Offsets{400});
  CHECK(f.traffic.writes == std::vector<Extent>{{200, 100}});
  CHECK(f.traffic.outgrown == 1);
  f.layout->check();
}

TEST_CASE("cluster_by_cluster: where units shift, more holes than entries are closed up by the next update") {
  Fixture f({{0, 1}, {2, 3}}, "shift");
  f.remove({0, 1});
  f.update({});
  CHECK_FALSE(f.wrote());
  f.remove({2});
  CHECK_FALSE(f.wrote());
  f.update({});
  CHECK(f.offsets(1) == Offsets{0});
  CHECK(f.moved() == std::vector<EntryIndex>{3});
  f.append(1, 4);
  f.append(0, 5);  // last, as if new
  CHECK(f.offsets(1) == Offsets{0, 100});
  CHECK(f.offsets(0) == Offsets{200});
  CHECK(f.layout->space_bytes() == 400);
  f.layout->check();
}

}  // namespace
}  // namespace kvr

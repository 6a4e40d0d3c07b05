#include <doctest/doctest.h>

#include "tests/policies/layout_support.hpp"

namespace kvr {
namespace {

using test::Offsets;

struct Fixture : test::OneHead {
  explicit Fixture(std::vector<std::vector<EntryIndex>> prompt)
      : OneHead("cluster_by_cluster", {}, std::move(prompt)) {}
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

TEST_CASE("cluster_by_cluster: heads share the space, and units of any head are exactly contiguous") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const test::Sequence sequence = test::Sequence::random(120, 1, rng);
    test::RandomClustering clustering(rng);
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

}  // namespace
}  // namespace kvr

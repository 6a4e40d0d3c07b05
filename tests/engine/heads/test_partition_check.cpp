#include <doctest/doctest.h>

#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/heads/partition_check.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

using test::ListedUnits;

Change created(UnitId unit) {
  return {.kind = ChangeKind::created, .unit = unit};
}
Change appended(UnitId unit, EntryIndex entry) {
  return {.kind = ChangeKind::appended, .unit = unit, .entry = entry};
}
Change buffered(UnitId unit, EntryIndex entry) {
  return {.kind = ChangeKind::buffered, .unit = unit, .entry = entry};
}
Change split(UnitId unit, UnitId other) {
  return {.kind = ChangeKind::split, .unit = unit, .other = other};
}

/// Units 0: {0, 1, 2, 3} and 1: {4}, known to the check.
struct Followed {
  ListedUnits units{{{0, 1, 2, 3}, {4}}};
  PartitionCheck check;

  Followed() { follow({created(0), created(1)}); }
  void follow(const ChangeList& changes) { check.follow(changes, units); }
};

TEST_CASE("created, appended, buffered and split keep a partition a partition") {
  Followed f;
  f.units.list(1).push_back(5);
  f.units.pending_list(0).push_back(6);
  f.follow({appended(1, 5), buffered(0, 6)});
  f.check.expect(7);
  f.check.check(f.units);
  f.units.list(0) = {0, 2};
  f.units.pending_list(0) = {};
  f.units.add({1, 3, 6});
  f.follow({split(0, 2)});
  f.check.expect(7);
  f.check.check(f.units);
}

TEST_CASE("a list may split what it has just split off or appended to") {
  Followed f;
  f.units.list(0) = {0};
  f.units.add({1, 5});
  f.units.add({2, 3});
  f.follow({split(0, 2), appended(2, 5), split(2, 3)});
  f.check.expect(6);
  f.check.check(f.units);
}

TEST_CASE("a list may create a unit and split it at once, twice, and append to a part") {
  Followed f;
  f.units.add({5});
  f.units.add({6, 8});
  f.units.add({7});
  f.follow({created(2), split(2, 3), appended(3, 8), split(3, 4)});
  f.check.expect(9);
  f.check.check(f.units);
}

TEST_CASE("a created unit may take entries that were pending elsewhere, and no others") {
  Followed f;
  f.units.pending_list(0) = {5, 6};
  f.follow({buffered(0, 5), buffered(0, 6)});
  f.units.pending_list(0) = {};
  f.units.add({5, 7});
  f.units.add({6});
  f.follow({buffered(0, 7), created(2), created(3)});
  f.check.expect(8);
  f.check.check(f.units);
  f.units.list(2) = {5};
  f.units.add({7});
  CHECK_THROWS_AS(f.follow({created(4)}), InternalError);  // 7 is a member of unit 2 by then
  Followed member;
  member.units.list(0) = {0, 1, 2};
  member.units.add({3});
  CHECK_THROWS_AS(member.follow({created(2)}), InternalError);
}

TEST_CASE("an entry that nobody holds any more is found") {
  Followed f;
  f.units.list(0) = {0, 1, 2};
  CHECK_THROWS_AS(f.check.check(f.units), InternalError);
  CHECK_THROWS_AS(f.check.expect(6), InternalError);
}

TEST_CASE("an entry in two units is found, as it comes and by comparison") {
  Followed f;
  f.units.list(1).push_back(0);
  CHECK_THROWS_AS(f.follow({appended(1, 0)}), InternalError);
  CHECK_THROWS_AS(f.check.check(f.units), InternalError);
  Followed twice;
  twice.units.list(0) = {0, 1, 2, 2, 3};
  CHECK_THROWS_AS(twice.check.check(twice.units), InternalError);
  Followed halves;
  halves.units.list(0) = {0, 1, 2};
  halves.units.add({2, 3});
  CHECK_THROWS_AS(
      [&] {
        halves.follow({split(0, 2)});
        halves.check.check(halves.units);
      }(),
      InternalError);
}

TEST_CASE("an entry that changed its unit without a split is found") {
  Followed f;
  f.units.list(0) = {0, 1, 2};
  f.units.list(1) = {4, 3};
  CHECK_THROWS_AS(f.check.check(f.units), InternalError);
}

TEST_CASE("a split that takes from a third unit, brings strangers or reuses a unit is found") {
  Followed third;
  third.units.list(0) = {0, 1};
  third.units.list(1) = {};
  third.units.add({2, 3, 4});
  CHECK_THROWS_AS(third.follow({split(0, 2)}), InternalError);
  Followed stranger;
  stranger.units.list(0) = {0, 1};
  stranger.units.add({2, 3, 77});
  CHECK_THROWS_AS(stranger.follow({split(0, 2)}), InternalError);
  Followed reused;
  CHECK_THROWS_AS(reused.follow({split(1, 0)}), InternalError);
}

TEST_CASE("entries that do not exist are found") {
  Followed f;
  CHECK_THROWS_AS(f.follow({appended(0, -1)}), InternalError);
  f.units.list(1).push_back(40);
  CHECK_THROWS_AS(f.check.check(f.units), InternalError);
}

const Change kRegrouped = {.kind = ChangeKind::regrouped, .unit = -1};

TEST_CASE("a regrouping may put any entry anywhere, pending ones too, but lose or double none") {
  Followed f;
  f.units.pending_list(0).push_back(5);
  f.follow({buffered(0, 5)});
  f.units.pending_list(0) = {};
  f.units.list(0) = {4, 1};
  f.units.list(1) = {5, 0};
  f.units.add({2, 3, 6});
  f.follow({appended(1, 6), kRegrouped});
  f.check.expect(7);
  f.check.check(f.units);
  f.units.list(0) = {4};
  f.units.list(1) = {5, 0, 1};
  f.follow({kRegrouped});
  f.check.check(f.units);

  Followed lost;
  lost.units.list(0) = {0, 1, 2};
  CHECK_THROWS_AS(lost.follow({kRegrouped}), InternalError);
  Followed twice;
  twice.units.list(1) = {4, 0};
  CHECK_THROWS_AS(twice.follow({kRegrouped}), InternalError);
  Followed empty;
  empty.units.list(0) = {0, 1, 2, 3, 4};
  empty.units.list(1) = {};
  CHECK_THROWS_AS(empty.follow({kRegrouped}), InternalError);
}

}  // namespace
}  // namespace kvr

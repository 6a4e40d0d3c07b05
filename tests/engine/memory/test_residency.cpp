#include <doctest/doctest.h>

#include <memory>
#include <numeric>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "sim/engine/memory/residency.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

using test::ListedUnits;

constexpr std::int64_t kEntryBytes = 64;
const RecordSizes kSizes(kEntryBytes);

Cache lru_cache(std::int64_t capacity_bytes) {
  return Cache(test::make<Replacement>("lru", {.capacity_bytes = capacity_bytes, .root_seed = 1}),
               capacity_bytes);
}

TEST_CASE("a unit is resident when its members are cached or pinned, and counts only the cached") {
  const ListedUnits units({{0, 1, 2}, {3, 4}});
  HeadResidency residency(10, units, kSizes);
  residency.set_candidates({1, 5});
  CHECK_FALSE(residency.resident(0));
  residency.add(0, 1);
  CHECK_FALSE(residency.resident(0));
  CHECK(residency.partly_resident(0));
  residency.add(0, 2);
  CHECK(residency.resident(0));
  CHECK(residency.count(0) == 2);
  CHECK_FALSE(residency.partly_resident(1));
  residency.set_candidates({0, 5});
  CHECK_FALSE(residency.resident(0));
  CHECK(residency.drop(0).entries == 2);
  CHECK_FALSE(residency.entry_resident(1));
  CHECK(residency.drop(0).entries == 0);
}

TEST_CASE("a unit whose pending entries became members is resident if its other members are") {
  ListedUnits units({{0, 1}}, {{2}});
  HeadResidency residency(3, units, kSizes);
  residency.set_candidates({0, 3});
  residency.add(0, 0);
  residency.add(0, 1);
  residency.set_pending(2, true);
  units.pending_list(0) = {};
  units.list(0) = {0};
  const UnitId other = units.add({1, 2});
  CHECK(residency.resident(0));
  CHECK(residency.resident(other));
  CHECK_FALSE(residency.entry_resident(2));
  residency.set_pending(2, false);
  CHECK_FALSE(residency.resident(other));
}

TEST_CASE("an unwritten entry is in DRAM, on nobody else's account, until it is written") {
  const ListedUnits units({{0, 1, 2}});
  HeadResidency residency(4, units, kSizes);
  residency.set_candidates({1, 4});
  residency.add(0, 1);
  const std::vector<EntryIndex> waiting = {0, 1, 2};
  residency.set_unwritten(waiting);
  CHECK(residency.resident(0));
  CHECK(residency.count(0) == 1);
  CHECK(residency.only_unwritten().entries == 1);  // 0 is pinned, 1 cached
  residency.set_unwritten({});
  CHECK_FALSE(residency.in_dram(2));
  CHECK_FALSE(residency.resident(0));
  CHECK(residency.only_unwritten().entries == 0);
}

TEST_CASE("an entry that comes in twice, or a count that does not fit the entries, is a bug") {
  ListedUnits units({{0, 1}, {2}});
  HeadResidency residency(3, units, kSizes);
  residency.add(0, 1);
  CHECK_THROWS_AS(residency.add(0, 1), InternalError);
  units.list(0) = {0};  // the clustering lost an entry that is resident
  CHECK_THROWS_AS(residency.drop(0), InternalError);
}

TEST_CASE("a split is counted anew on both sides") {
  ListedUnits units({{0, 1, 2, 3}});
  HeadResidency residency(4, units, kSizes);
  for (const EntryIndex entry : {0, 2, 3}) {
    residency.add(0, entry);
  }
  units.list(0) = {0, 1};
  const UnitId other = units.add({2, 3});
  residency.recount(0, other);
  CHECK(residency.count(0) == 1);
  CHECK(residency.count(other) == 2);
  CHECK(residency.drop(other).entries == 2);
  CHECK(residency.drop(0).entries == 1);
}

/// One head with units of given sizes and an LRU cache that it alone uses.
struct Head {
  explicit Head(ListedUnits listed, std::int64_t capacity_entries)
      : units(std::move(listed)),
        residency(100, units, kSizes),
        cache(lru_cache(capacity_entries * kEntryBytes)) {
    residency.set_candidates({0, 100});
  }

  void load(UnitId unit) {
    std::int64_t missing = 0;
    for (const EntryIndex entry : units.members(unit)) {
      if (!residency.entry_resident(entry)) {
        residency.add(unit, entry);
        ++missing;
      }
    }
    cache.loaded(missing * kEntryBytes);
    cache.touched({0, 0, unit}, residency.bytes(unit), missing == 0);
  }
  void evict() {
    HeadResidency* const all[] = {&residency};
    cache.evict(all, 1);
  }

  ListedUnits units;
  HeadResidency residency;
  Cache cache;
};

TEST_CASE("the cache drops the units used longest ago until its budget holds") {
  Head head(ListedUnits({{0, 1, 2}, {3, 4}, {5}}), 4);
  head.load(0);
  head.evict();
  CHECK(head.cache.bytes() == 3 * kEntryBytes);
  head.load(1);
  head.load(2);
  CHECK(head.cache.bytes() == 6 * kEntryBytes);
  head.evict();
  CHECK(head.cache.bytes() == 3 * kEntryBytes);
  CHECK_FALSE(head.residency.partly_resident(0));
  CHECK(head.residency.resident(1));
  CHECK(head.residency.resident(2));
}

TEST_CASE("a unit larger than the whole cache does not stay") {
  Head head(ListedUnits({{0, 1, 2}}), 2);
  head.load(0);
  head.evict();
  CHECK(head.cache.bytes() == 0);
}

TEST_CASE("a policy may give up a unit that a split left empty, but no unit it was never told of") {
  Head head(ListedUnits({{0, 1, 2}}), 1);
  head.load(0);
  head.units.list(0) = {};
  const UnitId other = head.units.add({0, 1, 2});
  head.residency.recount(0, other);
  head.cache.emptied({0, 0, 0});
  head.cache.updated({0, 0, other}, 3 * kEntryBytes);
  head.evict();
  CHECK(head.cache.bytes() == 0);
  CHECK_FALSE(head.residency.partly_resident(other));

  Head liar(ListedUnits({{0, 1}, {2}}), 1);
  liar.load(0);
  liar.cache.touched({0, 0, 1}, kEntryBytes, true);  // never loaded
  liar.cache.touched({0, 0, 0}, 2 * kEntryBytes, true);
  CHECK_THROWS_AS(liar.evict(), PolicyFault);
}

TEST_CASE("a cache without a caching policy is not enabled") {
  const Cache none(test::make<Replacement>("none", {.capacity_bytes = 64, .root_seed = 1}), 64);
  CHECK_FALSE(none.enabled());
  CHECK(lru_cache(64).enabled());
  CHECK_FALSE(lru_cache(0).enabled());
}

std::int64_t resident_entries(const HeadResidency& residency, EntryIndex entries) {
  std::int64_t resident = 0;
  for (EntryIndex entry = 0; entry < entries; ++entry) {
    resident += residency.entry_resident(entry) ? 1 : 0;
  }
  return resident;
}

/// Splits off the second half of a unit's members, as a clustering would, and keeps the books.
void split(Head& head, UnitId unit) {
  auto& members = head.units.list(unit);
  if (members.size() < 2) {
    return;
  }
  std::vector<EntryIndex> half(members.begin() + std::ssize(members) / 2, members.end());
  members.resize(members.size() / 2);
  const UnitId other = head.units.add(half);
  const bool was_resident = head.residency.partly_resident(unit);
  head.residency.recount(unit, other);
  for (const UnitId part : {unit, other}) {
    if (head.residency.partly_resident(part)) {
      head.cache.updated({0, 0, part}, head.residency.bytes(part));
    } else if (part == unit && was_resident) {
      head.cache.emptied({0, 0, unit});
    }
  }
}

TEST_CASE("at every step of 30 random runs the cache holds the bytes of the entries that are resident") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    ListedUnits::Units members(6);
    for (EntryIndex entry = 0; entry < 100; ++entry) {
      members[rng.below(6)].push_back(entry);
    }
    const auto capacity = static_cast<std::int64_t>(1 + rng.below(60));
    Head head(ListedUnits(members), capacity);
    for (int step = 0; step < 60; ++step) {
      const auto unit = static_cast<UnitId>(rng.below(static_cast<std::uint64_t>(head.units.unit_count())));
      if (rng.below(4) == 0) {
        split(head, unit);
      } else {
        head.load(unit);
      }
      head.evict();
      CHECK(head.cache.bytes() == resident_entries(head.residency, 100) * kEntryBytes);
      CHECK(head.cache.bytes() <= capacity * kEntryBytes);
      std::int64_t counted = 0;
      for (UnitId u = 0; u < head.units.unit_count(); ++u) {
        counted += head.residency.count(u);
      }
      CHECK(counted * kEntryBytes == head.cache.bytes());
    }
  }
}

TEST_CASE("a cache that heads share drops the oldest unit of any of them, and its bytes are their sum") {
  const ListedUnits units({{0, 1}, {2, 3}});
  HeadResidency heads[] = {HeadResidency(4, units, kSizes), HeadResidency(4, units, kSizes)};
  HeadResidency* const all[] = {&heads[0], &heads[1]};
  Cache cache = lru_cache(4 * kEntryBytes);
  const auto load = [&](std::int32_t head, UnitId unit) {
    for (const EntryIndex entry : units.members(unit)) {
      heads[head].add(unit, entry);
    }
    cache.loaded(2 * kEntryBytes);
    cache.touched({0, head, unit}, 2 * kEntryBytes, false);
    cache.evict(all, 2);
    CHECK(cache.bytes() == (resident_entries(heads[0], 4) + resident_entries(heads[1], 4)) * kEntryBytes);
  };
  load(0, 0);
  load(1, 0);
  load(1, 1);
  CHECK(heads[0].count(0) == 0);
  CHECK(heads[1].count(0) == 2);
  load(0, 1);
  CHECK(heads[1].count(0) == 0);
  CHECK(heads[0].count(1) == 2);
}

TEST_CASE("over 30 random runs a cache of entries of several sizes holds and frees their bytes") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    RecordSizes sizes = RecordSizes::varying(90, 90, 20);
    ListedUnits::Units members(6);
    for (EntryIndex entry = 0; entry < 100; ++entry) {
      sizes.add(entry, static_cast<std::int64_t>(1 + rng.below(70)));
      members[rng.below(6)].push_back(entry);
    }
    const ListedUnits units(members);
    HeadResidency residency(100, units, sizes);
    residency.set_candidates({0, 100});
    const auto capacity = static_cast<std::int64_t>(rng.below(4000));
    Cache cache = lru_cache(capacity);
    HeadResidency* const all[] = {&residency};
    for (int step = 0; step < 60; ++step) {
      const auto unit = static_cast<UnitId>(rng.below(6));
      std::vector<EntryIndex> missing;
      for (const EntryIndex entry : units.members(unit)) {
        if (!residency.entry_resident(entry) && rng.below(3) > 0) {
          residency.add(unit, entry);
          missing.push_back(entry);
        }
      }
      cache.loaded(sizes.sum(missing).bytes);
      if (residency.partly_resident(unit)) {
        cache.touched({0, 0, unit}, residency.bytes(unit), missing.empty());
      }
      cache.evict(all, 1);
      residency.check_counts();
      std::int64_t held = 0;
      for (EntryIndex entry = 0; entry < 100; ++entry) {
        held += residency.entry_resident(entry) ? sizes.of(entry) : 0;
      }
      CHECK(cache.bytes() == held);
      CHECK(residency.cached().bytes == held);
      CHECK(held <= capacity);
    }
  }
}

TEST_CASE("records of several sizes are summed, over entries or over what is live, and in proportion") {
  RecordSizes sizes = RecordSizes::varying(30, 20, 4);
  for (EntryIndex entry = 0; entry < 8; ++entry) {
    sizes.add(entry, 1 + entry);
    sizes.add(entry, 1);
  }
  CHECK(sizes.vary());
  CHECK(sizes.of(0) == 9);   // 6 of 20 are 9 of 30
  CHECK(sizes.of(1) == 11);  // 7 of 20, rounded up
  const std::vector<EntryIndex> some = {0, 1};
  CHECK(sizes.sum(some) == RecordSum{2, 20});
  EntrySet live = EntrySet::first(8);
  live.remove({1, 3});
  CHECK(sizes.sum(live, {0, 4}) == RecordSum{2, 9 + 14});
  CHECK(sizes.sum(live).entries == 6);
  CHECK_THROWS_AS(sizes.of(8), InternalError);
  CHECK(RecordSizes(7).sum(live, {0, 4}) == RecordSum{2, 14});
  CHECK(RecordSizes(7).sum(some) == RecordSum{2, 14});
}

}  // namespace
}  // namespace kvr

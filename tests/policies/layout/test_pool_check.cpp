// The check of dual-head pools against states that are wrong in one way each, and against random right ones.
#include <doctest/doctest.h>

#include <string>

#include "policies/layout/placing/pool_check.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"

namespace kvr {
namespace {

/// What the check says of records of 10 bytes in pools [0, 100) and [200, 300); empty: nothing is wrong.
std::string fault_of(const std::vector<std::vector<std::int64_t>>& offsets_of_unit) {
  std::vector<UnitRecords> units;
  for (const auto& offsets : offsets_of_unit) {
    units.push_back({static_cast<UnitId>(units.size()), {}});
    for (const std::int64_t offset : offsets) {
      units.back().records.push_back({offset, 10});
    }
  }
  try {
    check_pool_ends({{200, 100}, {0, 100}}, units);
  } catch (const InternalError& error) {
    return error.what();
  }
  return {};
}

bool says(const std::string& fault, std::string_view words) {
  return fault.find(words) != std::string::npos;
}

TEST_CASE("pool check: two units at the ends of a pool, touching or not, continued elsewhere, are right") {
  CHECK(fault_of({}).empty());
  CHECK(fault_of({{0, 10, 20}, {90, 80}}).empty());
  CHECK(fault_of({{90, 80}, {}, {0}}).empty());
  CHECK(fault_of({{0, 10, 20, 30, 40, 290}, {90, 80, 70, 60, 50, 200, 210}}).empty());
  CHECK(fault_of({{0, 10, 90, 80}}).empty());  // one unit at both ends
}

TEST_CASE("pool check: units that meet are caught") {
  // The record at 50 is both of front and of back.
  CHECK(says(fault_of({{0, 10, 20, 30, 40, 50}, {90, 80, 70, 60, 50}}),
             "units 0 and 1 meet: up to 60, from 50"));
  CHECK(says(fault_of({{90, 80}, {0, 10, 20, 30, 40, 50, 60, 70, 80}}),
             "record of unit 0 at 80 continues neither end"));
  std::vector<UnitRecords> units = {{0, {{0, 60}}}, {1, {{55, 45}}}};
  CHECK_THROWS_WITH_AS(check_pool_ends({{0, 100}}, units),
                       doctest::Contains("units 0 and 1 meet: up to 60, from 55"), InternalError);
  units[1].records[0] = {60, 40};
  CHECK_NOTHROW(check_pool_ends({{0, 100}}, units));
}

TEST_CASE("pool check: a hole, a third unit, another unit's record and a record outside are caught") {
  CHECK(says(fault_of({{0, 20}}), "record of unit 0 at 20 continues neither end"));
  CHECK(says(fault_of({{90, 70}}), "record of unit 0 at 70 continues neither end"));
  CHECK(says(fault_of({{0, 10}, {90}, {20}}), "record of unit 2 at 20 continues neither end"));
  CHECK(says(fault_of({{0, 20}, {10}}), "at 10 continues neither end"));
  CHECK(says(fault_of({{40}}), "at 40 continues neither end"));
  CHECK(says(fault_of({{0, 10}, {100}}), "the record at 100 lies in no pool"));
  CHECK(says(fault_of({{0, 95}}), "the record at 95 lies in no pool"));
  CHECK(says(fault_of({{195, 200}}), "the record at 195 lies in no pool"));
  CHECK(says(fault_of({{0}, {300}}), "the record at 300 lies in no pool"));
}

TEST_CASE("pool check: pools that overlap or leave the space are caught") {
  CHECK_NOTHROW(check_pools_apart({{300, 50}, {0, 100}, {100, 200}}, 350));
  CHECK_THROWS_WITH_AS(check_pools_apart({{0, 100}, {99, 50}}, 200),
                       doctest::Contains("a pool begins at 99, another ends at 100"), InternalError);
  CHECK_THROWS_WITH_AS(check_pools_apart({{0, 100}, {100, 50}}, 149),
                       doctest::Contains("pools end at 150, the space at 149"), InternalError);
  CHECK_THROWS_AS(check_pools_apart({{-1, 10}}, 10), InternalError);
}

/// Pools of 80 bytes, records of 10: in each pool two units, or one, or none.
struct RightPlaces {
  std::vector<Extent> pools;
  std::vector<UnitRecords> units;

  explicit RightPlaces(Rng& rng) {
    std::int64_t offset = 0;
    for (std::uint64_t left = 2 + rng.below(6); left > 0; --left) {
      offset += static_cast<std::int64_t>(8 * rng.below(3));
      pools.push_back({offset, 80});
      const auto front = static_cast<std::int64_t>(rng.below(9));
      const auto back = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(9 - front)));
      add(front, offset, 10);
      add(back, offset + 70, -10);
      offset += 80;
    }
  }

  void add(std::int64_t records, std::int64_t first, std::int64_t step) {
    if (records > 0) {
      units.push_back({static_cast<UnitId>(units.size()), {}});
    }
    for (std::int64_t i = 0; i < records; ++i) {
      units.back().records.push_back({first + i * step, 10});
    }
  }
};

TEST_CASE(
    "pool check: over 1,000 random sets right places pass, and none does with a record shifted or given "
    "away") {
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const RightPlaces right(rng);
    REQUIRE_NOTHROW(check_pools_apart(right.pools, right.pools.back().end_bytes()));
    REQUIRE_NOTHROW(check_pool_ends(right.pools, right.units));
    if (right.units.size() < 2) {
      continue;
    }
    auto shifted = right.units;
    UnitRecords& one = shifted[rng.below(shifted.size())];
    one.records[rng.below(one.records.size())].offset_bytes += static_cast<std::int64_t>(1 + rng.below(9));
    CHECK_THROWS_AS(check_pool_ends(right.pools, shifted), InternalError);
    auto given = right.units;
    const std::uint64_t giver = rng.below(given.size());
    UnitRecords& taker = given[(giver + 1 + rng.below(given.size() - 1)) % given.size()];
    const std::vector<Extent>& records = given[giver].records;
    taker.records.push_back(records[rng.below(records.size())]);  // the giver has it, too
    CHECK_THROWS_AS(check_pool_ends(right.pools, given), InternalError);
  }
}

}  // namespace
}  // namespace kvr

#include <doctest/doctest.h>

#include <set>

#include "sim/base/rng.hpp"
#include "sim/interfaces/entry_set.hpp"

namespace kvr {
namespace {

using Interval = EntrySet::Interval;

std::vector<Interval> intervals(const EntrySet& set) {
  return {set.intervals().begin(), set.intervals().end()};
}

TEST_CASE("entries that touch are one interval, and one taken out of it leaves two") {
  EntrySet set = EntrySet::first(4);
  set.add({6, 9});
  CHECK(intervals(set) == std::vector<Interval>{{0, 4}, {6, 9}});
  set.add({4, 6});
  CHECK(intervals(set) == std::vector<Interval>{{0, 9}});
  set.remove(2);
  CHECK(intervals(set) == std::vector<Interval>{{0, 2}, {3, 9}});
  CHECK(set.size() == 8);
  CHECK(set.contains(1));
  CHECK_FALSE(set.contains(2));
  CHECK_FALSE(set.contains(9));
  CHECK(set.count_in({1, 5}) == 3);
  CHECK(set.count_in({20, 30}) == 0);
}

TEST_CASE("a set of entries is that of the standard library") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    EntrySet set;
    std::set<EntryIndex> plain;
    for (int step = 0; step < 200; ++step) {
      const auto begin = static_cast<EntryIndex>(rng.below(60));
      const auto end = static_cast<EntryIndex>(begin + static_cast<EntryIndex>(rng.below(9)));
      const bool adds = rng.below(2) == 0;
      adds ? set.add({begin, end}) : set.remove({begin, end});
      for (EntryIndex entry = begin; entry < end; ++entry) {
        adds ? static_cast<void>(plain.insert(entry)) : static_cast<void>(plain.erase(entry));
      }
      std::set<EntryIndex> held;
      set.for_each([&held](EntryIndex entry) { held.insert(entry); });
      REQUIRE(held == plain);
      REQUIRE(set.size() == std::ssize(plain));
      for (std::size_t i = 0; i < set.intervals().size(); ++i) {
        REQUIRE(set.intervals()[i].size() > 0);
        REQUIRE((i == 0 || set.intervals()[i - 1].end < set.intervals()[i].begin));
      }
      const auto inside = std::ranges::count_if(plain, [&](EntryIndex e) { return e >= begin && e < end; });
      REQUIRE(set.count_in({begin, end}) == inside);
      for (EntryIndex entry = 0; entry < 70; ++entry) {
        REQUIRE(set.contains(entry) == plain.contains(entry));
      }
    }
  }
}

}  // namespace
}  // namespace kvr

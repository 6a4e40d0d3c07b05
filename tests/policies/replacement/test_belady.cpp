#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::unit;

std::unique_ptr<Replacement> make(std::int64_t capacity, const std::vector<CacheObject>& future,
                                  bool bypass) {
  return test::make<Replacement>("belady", {{"bypass", bypass}},
                                 {.capacity_bytes = capacity, .root_seed = 1, .future = future});
}

TEST_CASE("belady: the textbook's string 7 0 1 2 0 3 0 4 2 3 0 3 2 1 2 0 1 7 0 1 has 9 faults in 3 frames") {
  const std::vector<UnitId> ids = {7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1};
  const auto future = test::objects_of(ids);
  CHECK(test::hits_of(*make(3, future, false), 3, ids) == 20 - 9);
  CHECK(test::hits_of(*make(3, future, true), 3, ids) >= 20 - 9);
}

TEST_CASE("belady: victims are those used farthest from now, those never used again first") {
  const std::vector<UnitId> ids = {1, 2, 3, 4, 2, 4, 1};
  const auto future = test::objects_of(ids);
  // After 1 2 3 4: 3 is never used again; 1 is used last, 4 before it, 2 next.
  CHECK(test::victims_after(*make(9, future, true), {1, 2, 3, 4}, 4) == std::vector<UnitId>{3, 1, 4, 2});
  // Without bypass 4 waits until nothing else is left.
  CHECK(test::victims_after(*make(3, future, false), {1, 2, 3, 4}, 4) == std::vector<UnitId>{3, 1, 2, 4});
}

TEST_CASE("belady: a part that was split off is ranked by its first use, and what it holds may change") {
  const auto future = test::objects_of({1, 2, 2, 9, 1});
  const auto belady = make(100, future, true);
  belady->touched(unit(1), 10, false);
  belady->touched(unit(2), 10, false);
  belady->updated(unit(1), 5);
  belady->updated(unit(9), 5);
  belady->updated(unit(8), 5);  // never used
  CHECK(belady->victim() == unit(8));
  CHECK(belady->victim() == unit(1));
  CHECK(belady->victim() == unit(9));
  CHECK(belady->victim() == unit(2));
}

TEST_CASE("belady: an access that was not foretold is a bug of the caller") {
  const auto future = test::objects_of({1, 2});
  const auto belady = make(100, future, true);
  CHECK(belady->needs_future());
  belady->touched(unit(1), 1, false);
  CHECK_THROWS_AS(belady->touched(unit(3), 1, false), InternalError);
  belady->touched(unit(2), 1, false);
  CHECK_THROWS_AS(belady->touched(unit(2), 1, false), InternalError);
}

/// The most hits that any choice of victims gives, by trying all of them.
std::int64_t most_hits(const std::vector<UnitId>& ids, std::size_t at, const std::set<UnitId>& resident,
                       std::size_t capacity, bool bypass) {
  if (at == ids.size()) {
    return 0;
  }
  std::set<UnitId> after = resident;
  if (!after.insert(ids[at]).second) {
    return 1 + most_hits(ids, at + 1, after, capacity, bypass);
  }
  if (after.size() <= capacity) {
    return most_hits(ids, at + 1, after, capacity, bypass);
  }
  std::int64_t most = 0;
  for (const UnitId victim : after) {
    if (bypass || victim != ids[at]) {
      std::set<UnitId> rest = after;
      rest.erase(victim);
      most = std::max(most, most_hits(ids, at + 1, rest, capacity, bypass));
    }
  }
  return most;
}

TEST_CASE("belady: in 200 short strings of uses no choice of victims has more hits") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    std::vector<UnitId> ids;
    for (int i = 0; i < 12; ++i) {
      ids.push_back(static_cast<UnitId>(rng.below(5)));
    }
    const auto future = test::objects_of(ids);
    const std::size_t capacity = 1 + seed % 3;
    for (const bool bypass : {false, true}) {
      CAPTURE(bypass);
      const auto size = static_cast<std::int64_t>(capacity);
      CHECK(test::hits_of(*make(size, future, bypass), size, ids) == most_hits(ids, 0, {}, capacity, bypass));
    }
  }
}

TEST_CASE("belady: with units of one size, no replacement policy has more hits in 200 random mixes") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::vector<UnitId> ids = test::mixed_ids(rng, 600);
    const auto capacity = static_cast<std::int64_t>(10 + seed % 40);
    const auto future = test::objects_of(ids);
    const std::int64_t most = test::hits_of(*make(capacity, future, true), capacity, ids);
    CHECK(most >= test::hits_of(*make(capacity, future, false), capacity, ids));
    for (const auto& [name, implementation] : Catalogue::instance().kind(Replacement::kKind)) {
      CAPTURE(name);
      const auto policy = test::make_replacement(name, capacity);
      if (policy->caches() && !policy->needs_future()) {
        CHECK(test::hits_of(*policy, capacity, ids) <= most);
      }
    }
  }
}

}  // namespace
}  // namespace kvr

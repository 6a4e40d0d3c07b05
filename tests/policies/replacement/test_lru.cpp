#include <doctest/doctest.h>

#include <list>

#include "sim/interfaces/replacement.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

std::unique_ptr<Replacement> make_lru() {
  return test::make<Replacement>("lru", {}, {.capacity_bytes = 1 << 20, .root_seed = 1});
}

TEST_CASE("lru: of units touched 1 2 3 1, the victims are 2, 3 and 1; an update is no use") {
  const auto lru = make_lru();
  const auto unit = [](UnitId id) { return CacheObject{.layer = 0, .head = 0, .unit = id}; };
  lru->touched(unit(1), 100, false);
  lru->touched(unit(2), 100, false);
  lru->touched(unit(3), 100, false);
  lru->touched(unit(1), 100, true);
  lru->updated(unit(2), 200);
  CHECK(lru->victim() == unit(2));
  CHECK(lru->victim() == unit(3));
  lru->touched(unit(2), 200, false);
  CHECK(lru->victim() == unit(1));
  CHECK(lru->victim() == unit(2));
  CHECK_THROWS_AS(lru->victim(), InternalError);
}

TEST_CASE("lru: the part that a split takes off a unit is resident too and becomes a victim in its turn") {
  const auto lru = make_lru();
  const CacheObject unit = {.layer = 0, .head = 0, .unit = 1};
  const CacheObject part = {.layer = 0, .head = 0, .unit = 9};
  lru->touched(unit, 100, false);
  lru->updated(unit, 50);
  lru->updated(part, 50);
  CHECK(lru->victim() == unit);
  CHECK(lru->victim() == part);
}

TEST_CASE("lru: 2,000 random operations agree with a list that is searched from end to end") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto lru = make_lru();
    std::list<CacheObject> recent_first;
    for (int operation = 0; operation < 2000; ++operation) {
      const CacheObject object = {.layer = static_cast<std::int32_t>(rng.below(3)),
                                  .head = static_cast<std::int32_t>(rng.below(2)),
                                  .unit = static_cast<UnitId>(rng.below(20))};
      const bool resident = std::ranges::find(recent_first, object) != recent_first.end();
      if (rng.below(3) == 0 && !recent_first.empty()) {
        REQUIRE(lru->victim() == recent_first.back());
        recent_first.pop_back();
      } else if (rng.below(4) == 0) {
        lru->updated(object, 64);
        if (!resident) {
          recent_first.push_front(object);
        }
      } else {
        lru->touched(object, 64, resident);
        recent_first.remove(object);
        recent_first.push_front(object);
      }
    }
  }
}

}  // namespace
}  // namespace kvr

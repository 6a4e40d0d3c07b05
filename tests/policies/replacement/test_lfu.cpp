#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

TEST_CASE("lfu: of units used 1 1 2 3 3 2 4 4 4, the victims go by uses, then by the last use") {
  const auto lfu = make_replacement("lfu", 100);
  // Uses: 1, 2 and 3 twice, 4 three times; last used in the order 1, 3, 2, 4.
  CHECK(test::victims_after(*lfu, {1, 1, 2, 3, 3, 2, 4, 4, 4}, 4) == std::vector<UnitId>{1, 3, 2, 4});
  CHECK_THROWS_AS(lfu->victim(), InternalError);
}

TEST_CASE("lfu: a unit that has just come in is no victim, although it has the fewest uses") {
  const auto lfu = make_replacement("lfu", 2);
  CHECK(test::victims_after(*lfu, {1, 1, 1, 2, 2, 3}, 1) == std::vector<UnitId>{2});
  CHECK(test::victims_after(*lfu, {4}, 1) == std::vector<UnitId>{3});
}

TEST_CASE("lfu: who comes back starts anew, and an update is no use") {
  const auto lfu = make_replacement("lfu", 2);
  CHECK(test::victims_after(*lfu, {1, 1, 2, 2, 2, 3}, 1) == std::vector<UnitId>{1});
  CHECK(test::victims_after(*lfu, {3, 1}, 1) == std::vector<UnitId>{3});
  lfu->updated(unit(1), 1);
  lfu->updated(unit(1), 1);
  lfu->updated(unit(1), 1);
  CHECK(test::victims_after(*lfu, {4}, 1) == std::vector<UnitId>{1});
}

TEST_CASE("lfu: 200 random loads have the victims of a list that is searched for the fewest uses") {
  class Plain final : public test::PlainReplacement {
   public:
    explicit Plain(std::int64_t capacity) : PlainReplacement(capacity, true) {}
    bool goes_before(const Item& a, const Item& b) const override {
      return a.uses != b.uses ? a.uses < b.uses : a.last_use < b.last_use;
    }
  };
  test::check_against_reference([](std::int64_t capacity) { return make_replacement("lfu", capacity); },
                                [](std::int64_t capacity) { return std::make_unique<Plain>(capacity); });
}

}  // namespace
}  // namespace kvr

#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

TEST_CASE("fifo: of units used 1 2 1 3, the victims are 1, 2 and 3: use and updates count for nothing") {
  const auto fifo = make_replacement("fifo", 3);
  for (const UnitId id : {1, 2, 1, 3}) {
    fifo->touched(unit(id), 1, false);
  }
  fifo->updated(unit(1), 2);
  CHECK(fifo->victim() == unit(1));
  CHECK(fifo->victim() == unit(2));
  CHECK(fifo->victim() == unit(3));
  CHECK_THROWS_AS(fifo->victim(), InternalError);
}

TEST_CASE(
    "fifo, spare_used: of units 1 2 3, of which the layer used 1 and then 4, the victims are 2, 3, 1, 4") {
  const auto fifo = make_replacement("fifo", 3, {{"spare_used", true}});
  for (const UnitId id : {1, 2, 3}) {
    fifo->touched(unit(id), 1, false);
  }
  fifo->settled();
  fifo->touched(unit(1), 1, true);
  fifo->touched(unit(4), 1, false);
  CHECK(fifo->victim() == unit(2));
  CHECK(fifo->victim() == unit(3));
  CHECK(fifo->victim() == unit(1));
  fifo->settled();
  CHECK(fifo->victim() == unit(4));
}

TEST_CASE("fifo: 200 random loads have the victims of a list that is searched for the first that came in") {
  class Plain final : public test::PlainReplacement {
   public:
    explicit Plain(std::int64_t capacity) : PlainReplacement(capacity, false) {}
    bool goes_before(const Item& a, const Item& b) const override { return a.came_in < b.came_in; }
  };
  test::check_against_reference([](std::int64_t capacity) { return make_replacement("fifo", capacity); },
                                [](std::int64_t capacity) { return std::make_unique<Plain>(capacity); });
}

}  // namespace
}  // namespace kvr

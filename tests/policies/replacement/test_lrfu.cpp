#include <cmath>

#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

std::unique_ptr<Replacement> make(std::int64_t capacity, double lambda) {
  return make_replacement("lrfu", capacity, {{"lambda", lambda}});
}

TEST_CASE("lrfu: of units used 1 1 1 2 3 3, lambda decides whether three old uses outweigh a fresh one") {
  // Worth after the sixth use, with f = 2^-lambda: unit 1: f^5 + f^4 + f^3; unit 2: f^2; unit 3: f + 1.
  // lambda 0.1: 2.28, 0.87, 1.93; lambda 0.5: 0.78, 0.5, 1.71; lambda 1: 0.22, 0.25, 1.5.
  const std::vector<UnitId> used = {1, 1, 1, 2, 3, 3};
  CHECK(test::victims_after(*make(100, 0.1), used, 3) == std::vector<UnitId>{2, 3, 1});
  CHECK(test::victims_after(*make(100, 0.5), used, 3) == std::vector<UnitId>{2, 1, 3});
  CHECK(test::victims_after(*make(100, 1.0), used, 3) == std::vector<UnitId>{1, 2, 3});
}

TEST_CASE("lrfu: a unit that has just come in is no victim, and who comes back starts anew") {
  const auto lrfu = make(2, 0.01);
  CHECK(test::victims_after(*lrfu, {1, 1, 1, 2, 2, 3}, 1) == std::vector<UnitId>{2});
  CHECK(test::victims_after(*lrfu, {2}, 1) == std::vector<UnitId>{3});
  lrfu->updated(unit(2), 1);
  CHECK(test::victims_after(*lrfu, {3}, 1) == std::vector<UnitId>{2});
}

TEST_CASE("lrfu: lambda 0 is lfu; lambda 1 is lru, but for newcomers that wait; 200 random loads each") {
  class Recency final : public test::PlainReplacement {
   public:
    explicit Recency(std::int64_t capacity) : PlainReplacement(capacity, true) {}
    bool goes_before(const Item& a, const Item& b) const override { return a.last_use < b.last_use; }
  };
  test::check_against_reference([](std::int64_t capacity) { return make(capacity, 0.0); },
                                [](std::int64_t capacity) { return make_replacement("lfu", capacity); });
  test::check_against_reference([](std::int64_t capacity) { return make(capacity, 1.0); },
                                [](std::int64_t capacity) { return std::make_unique<Recency>(capacity); });
}

/// Sums the definition over every past use, at each comparison.
class Plain final : public test::PlainReplacement {
 public:
  Plain(std::int64_t capacity, double lambda) : PlainReplacement(capacity, true), lambda_(lambda) {}

  void touched(CacheObject object, std::int64_t bytes, bool hit) override {
    PlainReplacement::touched(object, bytes, hit);
    uses_[object].push_back(now());
  }
  CacheObject victim() override {
    const CacheObject object = PlainReplacement::victim();
    uses_.erase(object);
    return object;
  }

 private:
  bool goes_before(const Item& a, const Item& b) const override { return worth(a) < worth(b); }
  double worth(const Item& item) const {
    double sum = 0.0;
    for (const std::int64_t use : uses_.at(item.object)) {
      sum += std::pow(0.5, lambda_ * static_cast<double>(now() - use));
    }
    return sum;
  }

  double lambda_;
  std::map<CacheObject, std::vector<std::int64_t>> uses_;
};

TEST_CASE("lrfu: 200 random loads have the victims of the definition, summed over all past uses") {
  test::check_against_reference(
      [](std::int64_t capacity) { return make(capacity, 0.07); },
      [](std::int64_t capacity) { return std::make_unique<Plain>(capacity, 0.07); });
}

}  // namespace
}  // namespace kvr

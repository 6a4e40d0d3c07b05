#include <cmath>

#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

std::unique_ptr<Replacement> make(std::int64_t capacity, double reserved_share, double size_ratio,
                                  const char* order) {
  return make_replacement(
      "cluster_aligned", capacity,
      {{"order", std::string(order)}, {"reserved_share", reserved_share}, {"size_ratio", size_ratio}});
}

std::unique_ptr<Replacement> make_strict(std::int64_t capacity, double reserved_share, double size_ratio) {
  return make(capacity, reserved_share, size_ratio, "strict");
}

std::unique_ptr<Replacement> make_aged(std::int64_t capacity, double reserved_share, double size_ratio) {
  return make(capacity, reserved_share, size_ratio, "aged");
}

void check_victims(Replacement& policy, const std::vector<UnitId>& expected) {
  for (const UnitId id : expected) {
    CHECK(policy.victim() == unit(id));
  }
}

TEST_CASE("cluster_aligned, strict: the largest go first, and of equal sizes the one used longest ago") {
  const auto policy = make_strict(100, 0.0, 1.0);
  policy->touched(unit(1), 8, false);
  policy->touched(unit(2), 30, false);
  policy->touched(unit(3), 8, false);
  policy->touched(unit(4), 9, false);
  policy->touched(unit(1), 8, true);
  check_victims(*policy, {2, 4, 3, 1});
  CHECK_THROWS_AS(policy->victim(), InternalError);
}

TEST_CASE("cluster_aligned, strict: sizes of one class count as equal, so that recency decides") {
  const auto policy = make_strict(100, 0.0, 2.0);
  // Classes: 8 to 15 bytes, 16 to 31 bytes.
  policy->touched(unit(1), 16, false);
  policy->touched(unit(2), 31, false);
  policy->touched(unit(3), 8, false);
  policy->touched(unit(4), 15, false);
  policy->touched(unit(1), 16, true);
  check_victims(*policy, {2, 1, 3, 4});
}

TEST_CASE("cluster_aligned, strict: a large unit gives way to small ones though it was used last") {
  const auto policy = make_strict(20, 0.25, 2.0);
  policy->touched(unit(1), 4, false);
  policy->touched(unit(2), 12, false);
  policy->touched(unit(3), 16, false);
  check_victims(*policy, {3, 2, 1});
}

TEST_CASE("cluster_aligned, strict: updated units stay in the reserve until later updates need its bytes") {
  const auto policy = make_strict(100, 0.4, 1.0);  // a reserve of 40 bytes
  policy->touched(unit(1), 30, false);
  policy->touched(unit(2), 20, false);
  policy->touched(unit(3), 10, false);
  policy->touched(unit(4), 25, false);
  policy->updated(unit(1), 31);  // the largest, in the reserve alone
  check_victims(*policy, {4, 2});
  policy->touched(unit(2), 20, false);
  policy->updated(unit(2), 21);  // 31 + 21 > 40: unit 1 leaves the reserve
  policy->updated(unit(3), 11);  // 21 + 11 fit
  check_victims(*policy, {1, 2, 3});
}

TEST_CASE("cluster_aligned, strict: the reserve goes last, the one updated longest ago first") {
  const auto policy = make_strict(100, 1.0, 1.0);
  for (const UnitId id : {1, 2, 3}) {
    policy->touched(unit(id), 10 * id, false);
  }
  policy->updated(unit(2), 21);
  policy->updated(unit(1), 11);
  policy->updated(unit(2), 22);
  policy->touched(unit(1), 11, true);  // use does not count in the reserve
  check_victims(*policy, {3, 1, 2});
}

TEST_CASE(
    "cluster_aligned, strict: both halves of a split are in the reserve; a unit larger than it never is") {
  const auto policy = make_strict(100, 0.2, 1.0);
  policy->touched(unit(1), 19, false);
  policy->touched(unit(2), 12, false);
  policy->touched(unit(3), 30, false);
  policy->updated(unit(1), 10);
  policy->updated(unit(7), 9);   // the new half of 1
  policy->updated(unit(3), 31);  // does not push the halves out
  check_victims(*policy, {3, 2, 1, 7});
}

TEST_CASE(
    "cluster_aligned, strict: after many steps small units hold the general part, whoever was used last") {
  // Units 0 to 9 have 1 + id bytes, used in turn; 20 bytes hold 0 to 4 (15 bytes) and no other besides.
  const auto policy = make_strict(20, 0.0, 1.0);
  std::set<UnitId> resident;
  std::int64_t bytes = 0;
  for (int use = 0; use < 100; ++use) {
    const UnitId id = use * 7 % 10;
    const bool hit = !resident.insert(id).second;
    bytes += hit ? 0 : 1 + id;
    policy->touched(unit(id), 1 + id, hit);
    while (bytes > 20) {
      const UnitId victim = policy->victim().unit;
      REQUIRE(resident.erase(victim) == 1);
      bytes -= 1 + victim;
    }
  }
  CHECK(resident == std::set<UnitId>{0, 1, 2, 3, 4});
}

TEST_CASE("cluster_aligned, aged: a worked example, H = L + 1 / bytes") {
  const auto policy = make_aged(100, 0.0, 1.0);
  policy->touched(unit(1), 4, false);  // H 1/4
  policy->touched(unit(2), 8, false);  // H 1/8
  policy->touched(unit(3), 2, false);  // H 1/2
  check_victims(*policy, {2});         // L 1/8
  policy->touched(unit(4), 8, false);  // H 1/4, as unit 1, which was used longer ago
  check_victims(*policy, {1});         // L 1/4
  policy->touched(unit(4), 8, true);   // renewed: H 3/8
  policy->touched(unit(5), 4, false);  // H 1/2
  check_victims(*policy, {4});         // L 3/8
  policy->touched(unit(6), 8, false);  // H 1/2
  check_victims(*policy, {3, 5, 6});   // the smallest, never used again, goes first
  CHECK_THROWS_AS(policy->victim(), InternalError);
}

TEST_CASE("cluster_aligned, aged: sizes of one class have the smallest size of it") {
  const auto policy = make_aged(100, 0.0, 2.0);
  policy->touched(unit(1), 16, false);  // H 1/16
  policy->touched(unit(2), 31, false);  // H 1/16
  policy->touched(unit(3), 15, false);  // H 1/8
  policy->touched(unit(1), 16, true);
  check_victims(*policy, {2, 1});       // L 1/16
  policy->touched(unit(4), 31, false);  // H 1/8
  check_victims(*policy, {3, 4});
}

TEST_CASE("cluster_aligned, aged: an update is no use, and L never falls") {
  const auto policy = make_aged(100, 0.4, 1.0);  // a reserve of 40 bytes
  policy->touched(unit(1), 20, false);           // H 1/20
  policy->updated(unit(1), 20);                  // in the reserve
  policy->touched(unit(2), 10, false);
  check_victims(*policy, {2});          // L 1/10
  policy->touched(unit(3), 10, false);  // H 1/5
  policy->updated(unit(3), 30);         // 20 + 30 > 40: unit 1 leaves the reserve with its H of 1/20
  policy->touched(unit(4), 50, false);  // H 1/10 + 1/50
  check_victims(*policy, {1});          // L stays 1/10
  policy->touched(unit(5), 50, false);  // H as unit 4, not 1/20 + 1/50
  check_victims(*policy, {4, 5, 3});
}

TEST_CASE("cluster_aligned, aged: a new half counts as used with the split, the old one as last used") {
  const auto policy = make_aged(100, 0.0, 1.0);
  policy->touched(unit(1), 10, false);  // H 1/10
  policy->touched(unit(2), 8, false);   // H 1/8
  check_victims(*policy, {1});          // L 1/10
  policy->updated(unit(2), 4);          // H 1/4
  policy->updated(unit(3), 4);          // H 1/10 + 1/4
  policy->touched(unit(4), 5, false);   // H 1/10 + 1/5
  check_victims(*policy, {2, 4, 3});
}

TEST_CASE("cluster_aligned, aged: units of one size go as from lru") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const std::vector<UnitId> ids = test::mixed_ids(rng, 2000);
    const auto aged = make_aged(3 * 25, 0.0, 2.0);
    const auto lru = make_replacement("lru", 3 * 25);
    CHECK(test::hit_sequence(*aged, 25, ids, 3) == test::hit_sequence(*lru, 25, ids, 3));
  }
}

TEST_CASE("cluster_aligned, aged: a small unit that is not used again leaves, and one that is used stays") {
  const auto policy = make_aged(100, 0.0, 1.0);
  policy->touched(unit(1), 1, false);
  policy->touched(unit(2), 1, false);
  bool unused_is_resident = true;
  for (UnitId id = 10; id < 1000; ++id) {
    policy->touched(unit(id), 10, false);
    policy->touched(unit(1), 1, id > 10);
    const UnitId victim = policy->victim().unit;
    CHECK(victim != 1);
    unused_is_resident = unused_is_resident && victim != 2;
  }
  CHECK(!unused_is_resident);
}

/// The rules as they are written, with everything searched and summed anew at each call.
class Plain : public Replacement {
 public:
  Plain(std::int64_t capacity, double share, double ratio)
      : reserve_bytes_(static_cast<std::int64_t>(static_cast<double>(capacity) * share)), ratio_(ratio) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    Item& item = find(object);
    item.bytes = bytes;
    item.last_use = ++now_;
    item.credit = 0.0;
    trim();
  }
  void updated(CacheObject object, std::int64_t bytes) override {
    ++now_;
    Item& item = find(object);
    item.bytes = bytes;
    item.last_update = bytes > reserve_bytes_ ? 0 : now_;
    trim();
  }
  CacheObject victim() override {
    auto chosen = items_.begin();
    for (auto item = items_.begin(); item != items_.end(); ++item) {
      chosen = goes_before(*item, *chosen) ? item : chosen;
    }
    const CacheObject object = chosen->object;
    const double worth = worth_of(*chosen);
    items_.erase(chosen);
    for (Item& item : items_) {
      item.credit -= std::max(worth, 0.0);
    }
    return object;
  }

 protected:
  struct Item {
    CacheObject object;
    std::int64_t bytes = 0;
    std::int64_t last_use = 0;
    std::int64_t last_update = 0;  ///< 0: not in the reserve
    double credit = 0.0;           ///< its L less the L of now
  };

  /// Whether `a` is given up before `b`, neither in the reserve.
  virtual bool worth_less(const Item& a, const Item& b) const {
    const int class_a = size_class(a.bytes);
    const int class_b = size_class(b.bytes);
    return class_a != class_b ? class_a > class_b : a.last_use < b.last_use;
  }
  /// Its H less the L of now.
  double worth_of(const Item& item) const {
    return item.bytes == 0 ? item.credit : item.credit + std::pow(ratio_, 1 - size_class(item.bytes));
  }

 private:
  Item& find(CacheObject object) {
    for (Item& item : items_) {
      if (item.object == object) {
        return item;
      }
    }
    return items_.emplace_back(Item{.object = object, .last_use = now_});
  }
  /// Multiplies instead of taking logarithms.
  int size_class(std::int64_t bytes) const {
    int size_class = 0;
    for (double limit = 1.0; limit <= static_cast<double>(bytes); limit *= ratio_) {
      ++size_class;
    }
    return size_class;
  }
  bool goes_before(const Item& a, const Item& b) const {
    if (a.last_update != 0 || b.last_update != 0) {
      return a.last_update < b.last_update;
    }
    return worth_less(a, b);
  }
  void trim() {
    for (;;) {
      std::int64_t reserved = 0;
      Item* oldest = nullptr;
      for (Item& item : items_) {
        if (item.last_update != 0) {
          reserved += item.bytes;
          oldest = oldest == nullptr || item.last_update < oldest->last_update ? &item : oldest;
        }
      }
      if (reserved <= reserve_bytes_) {
        return;
      }
      oldest->last_update = 0;
    }
  }

  std::int64_t reserve_bytes_;
  double ratio_;
  std::int64_t now_ = 0;
  std::vector<Item> items_;
};

TEST_CASE("cluster_aligned, strict: 200 random loads have the victims of the rules applied by search") {
  for (const double share : {0.0, 0.3, 1.0}) {
    CAPTURE(share);
    test::check_against_reference(
        [share](std::int64_t capacity) { return make_strict(capacity, share, 2.0); },
        [share](std::int64_t capacity) { return std::make_unique<Plain>(capacity, share, 2.0); });
  }
}

/// Greedy-Dual as first written: what a victim was worth is taken off all others. Powers of two are exact.
class PlainAged final : public Plain {
 public:
  using Plain::Plain;

 private:
  bool worth_less(const Item& a, const Item& b) const override {
    return worth_of(a) != worth_of(b) ? worth_of(a) < worth_of(b) : a.last_use < b.last_use;
  }
};

TEST_CASE("cluster_aligned, aged: 200 random loads have the victims of credits that all others lose") {
  for (const double share : {0.0, 0.3, 1.0}) {
    for (const double ratio : {2.0, 4.0}) {
      CAPTURE(share);
      CAPTURE(ratio);
      test::check_against_reference(
          [&](std::int64_t capacity) { return make_aged(capacity, share, ratio); },
          [&](std::int64_t capacity) { return std::make_unique<PlainAged>(capacity, share, ratio); });
    }
  }
}

}  // namespace
}  // namespace kvr

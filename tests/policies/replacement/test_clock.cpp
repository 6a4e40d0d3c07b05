#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

TEST_CASE("clock: of units used 1 2 3 1, the hand passes 1 over and takes 2, 3 and then 1") {
  const auto clock = make_replacement("clock", 3);
  CHECK(test::victims_after(*clock, {1, 2, 3, 1}, 3) == std::vector<UnitId>{2, 3, 1});
  CHECK_THROWS_AS(clock->victim(), InternalError);
}

TEST_CASE("clock: one round clears every mark, and the hand does not reach who has just come in") {
  const auto clock = make_replacement("clock", 3);
  // 1, 2 and 3 are marked; the hand clears them all and comes back to 1, although 4 has no mark either.
  CHECK(test::victims_after(*clock, {1, 2, 3, 1, 2, 3, 4}, 1) == std::vector<UnitId>{1});
  // The order is 2, 3, 4 from the hand, without marks; 3 gets one.
  CHECK(test::victims_after(*clock, {3, 5}, 1) == std::vector<UnitId>{2});
  CHECK(test::victims_after(*clock, {6}, 1) == std::vector<UnitId>{4});
}

/// The textbook's form: a ring and a hand that moves, where newcomers are put right behind the hand.
class Ring final : public Replacement {
 public:
  explicit Ring(std::int64_t capacity) : capacity_(capacity) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    for (auto* const side : {&ring_, &waiting_}) {
      for (Slot& slot : *side) {
        slot.marked = slot.marked || slot.object == object;
      }
    }
    updated(object, bytes);
  }
  void updated(CacheObject object, std::int64_t bytes) override {
    std::int64_t total = 0;
    bool known = false;
    for (auto* const side : {&ring_, &waiting_}) {
      for (const Slot& slot : *side) {
        total += slot.bytes;
      }
    }
    if (total <= capacity_) {
      let_in();
    }
    for (auto* const side : {&ring_, &waiting_}) {
      for (Slot& slot : *side) {
        known = known || slot.object == object;
        slot.bytes = slot.object == object ? bytes : slot.bytes;
      }
    }
    if (!known) {
      waiting_.push_back({object, bytes, false});
    }
  }
  CacheObject victim() override {
    if (ring_.empty()) {
      let_in();
    }
    hand_ %= ring_.size();
    while (ring_[hand_].marked) {
      ring_[hand_].marked = false;
      hand_ = (hand_ + 1) % ring_.size();
    }
    const CacheObject object = ring_[hand_].object;
    ring_.erase(ring_.begin() + static_cast<std::ptrdiff_t>(hand_));
    return object;
  }

 private:
  struct Slot {
    CacheObject object;
    std::int64_t bytes;
    bool marked;
  };

  void let_in() {
    for (const Slot& slot : waiting_) {
      ring_.insert(ring_.begin() + static_cast<std::ptrdiff_t>(hand_), slot);
      ++hand_;
    }
    waiting_.clear();
  }

  std::int64_t capacity_;
  std::size_t hand_ = 0;
  std::vector<Slot> ring_;
  std::vector<Slot> waiting_;
};

TEST_CASE("clock: 200 random loads have the victims of a ring with a moving hand") {
  test::check_against_reference([](std::int64_t capacity) { return make_replacement("clock", capacity); },
                                [](std::int64_t capacity) { return std::make_unique<Ring>(capacity); });
}

}  // namespace
}  // namespace kvr

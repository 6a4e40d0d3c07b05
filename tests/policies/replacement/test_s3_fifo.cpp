#include <deque>
#include <map>

#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

/// The published algorithm 1 in pages, which makes room before it lets a page in; plus what the authors' code
/// does before the first eviction.
class AlgorithmOne {
 public:
  explicit AlgorithmOne(std::size_t size) : size_(size), small_(size / 10), ghosts_(size * 9 / 10) {}

  bool use(UnitId x) {
    if (uses_.contains(x)) {
      uses_[x] = std::min(uses_[x] + 1, 3);
      return true;
    }
    const bool was_ghost = std::erase(g_, x) > 0;
    while (s_.size() + m_.size() >= size_) {
      evict();
    }
    const bool spills = !evicted_ && s_.size() >= small_;
    (was_ghost || spills ? m_ : s_).push_front(x);
    uses_[x] = 0;
    return false;
  }

 private:
  void evict() {
    evicted_ = true;
    if (m_.size() > size_ - small_ || s_.empty()) {
      evict_main();
    } else {
      evict_small();
    }
  }
  void evict_small() {
    while (!s_.empty()) {
      const UnitId t = s_.back();
      s_.pop_back();
      if (uses_[t] <= 1) {
        uses_.erase(t);
        g_.push_front(t);
        g_.resize(std::min(g_.size(), ghosts_));
        return;
      }
      m_.push_front(t);
      uses_[t] = 0;
    }
  }
  void evict_main() {
    for (;;) {
      const UnitId t = m_.back();
      m_.pop_back();
      if (uses_[t] == 0) {
        uses_.erase(t);
        return;
      }
      --uses_[t];
      m_.push_front(t);
    }
  }

  std::size_t size_;
  std::size_t small_;
  std::size_t ghosts_;
  bool evicted_ = false;
  std::deque<UnitId> s_;
  std::deque<UnitId> m_;
  std::deque<UnitId> g_;
  std::map<UnitId, int> uses_;
};

TEST_CASE("s3_fifo: with units of one size it hits where the published algorithm hits, in 200 random mixes") {
  std::int64_t hits = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto capacity = static_cast<std::int64_t>(10 * (1 + seed % 5));
    const std::vector<UnitId> ids = test::mixed_ids(rng, 600);
    AlgorithmOne algorithm(static_cast<std::size_t>(capacity));
    std::vector<bool> expected;
    for (const UnitId id : ids) {
      expected.push_back(algorithm.use(id));
    }
    const auto policy = make_replacement("s3_fifo", capacity);
    CHECK(test::hit_sequence(*policy, capacity, ids) == expected);
    const auto large = make_replacement("s3_fifo", capacity * 4096);
    CHECK(test::hit_sequence(*large, capacity, ids, 4096) == expected);
    hits += std::ranges::count(expected, true);
  }
  CHECK(hits > 10000);
}

TEST_CASE(
    "s3_fifo: one-time units leave by the small queue, twice used ones move on, ghosts come back to M") {
  const auto policy = make_replacement("s3_fifo", 10, {{"small_share", 0.4}, {"ghost_share", 0.6}});
  // S gets 4 bytes, M 6, ghosts 6. Fills: 1 2 to S, 3 to M because S is full before anything was given up.
  policy->touched(unit(1), 2, false);
  policy->touched(unit(2), 2, false);
  policy->touched(unit(3), 4, false);
  policy->touched(unit(4), 2, false);  // full: S 1 2, M 3 4
  policy->touched(unit(1), 2, true);
  policy->touched(unit(1), 2, true);  // two uses after the first
  policy->touched(unit(5), 3, false);
  // M holds 6 bytes, no more than its target, so S gives: 1 moves to M, 2 is taken and becomes a ghost.
  CHECK(policy->victim() == unit(2));
  // 11 bytes: M holds 8, more than 6, so it gives its oldest, 3.
  CHECK(policy->victim() == unit(3));
  policy->touched(unit(2), 2, false);  // a ghost: waits for M; S 5, M 4 1: 7 bytes, 9 with it
  policy->touched(unit(6), 4, false);
  CHECK(policy->victim() == unit(5));  // M holds 4, so S gives
  policy->touched(unit(7), 2, false);  // 10 bytes were resident: S 6, M 4 1 2
  CHECK(policy->victim() == unit(6));  // M holds 6, not more than its target
}

TEST_CASE(
    "s3_fifo: in 200 random loads with units of all sizes every victim is resident, and the same twice") {
  const auto make = [](std::int64_t capacity) { return make_replacement("s3_fifo", capacity); };
  test::check_against_reference(make, make);
}

}  // namespace
}  // namespace kvr

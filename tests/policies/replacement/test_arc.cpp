#include <deque>

#include "tests/policies/replacement/replacement_support.hpp"

namespace kvr {
namespace {

using test::make_replacement;
using test::unit;

/// The published algorithm, figure 4, in pages: it makes room before it lets a page in.
class FigureFour {
 public:
  explicit FigureFour(std::size_t c) : c_(c) {}

  bool use(UnitId x) {
    if (take(t1_, x) || take(t2_, x)) {
      t2_.push_front(x);
      return true;
    }
    const bool in_b1 = holds(b1_, x);
    const bool in_b2 = holds(b2_, x);
    if (in_b1 || in_b2) {
      const double b1 = static_cast<double>(b1_.size());
      const double b2 = static_cast<double>(b2_.size());
      p_ = in_b1 ? std::min(p_ + (b1 >= b2 ? 1.0 : b2 / b1), static_cast<double>(c_))
                 : std::max(p_ - (b2 >= b1 ? 1.0 : b1 / b2), 0.0);
      if (t1_.size() + t2_.size() == c_) {
        replace(in_b2);
      }
      take(in_b1 ? b1_ : b2_, x);
      t2_.push_front(x);
      return false;
    }
    if (t1_.size() + b1_.size() == c_) {
      if (t1_.size() < c_) {
        b1_.pop_back();
        replace(false);
      } else {
        t1_.pop_back();
      }
    } else if (t1_.size() + t2_.size() + b1_.size() + b2_.size() >= c_) {
      if (t1_.size() + t2_.size() + b1_.size() + b2_.size() == 2 * c_) {
        b2_.pop_back();
      }
      replace(false);
    }
    t1_.push_front(x);
    return false;
  }

 private:
  using Pages = std::deque<UnitId>;

  static bool holds(const Pages& pages, UnitId x) { return std::ranges::count(pages, x) > 0; }
  static bool take(Pages& pages, UnitId x) { return std::erase(pages, x) > 0; }
  void replace(bool in_b2) {
    const auto t1 = static_cast<double>(t1_.size());
    const bool from_t1 = !t1_.empty() && ((in_b2 && t1 == p_) || t1 > p_);
    Pages& from = from_t1 ? t1_ : t2_;
    (from_t1 ? b1_ : b2_).push_front(from.back());
    from.pop_back();
  }

  std::size_t c_;
  double p_ = 0.0;
  Pages t1_;
  Pages t2_;
  Pages b1_;
  Pages b2_;
};

TEST_CASE("arc: with units of one size it hits where the published algorithm hits, in 200 random mixes") {
  std::int64_t hits = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Rng rng(seed);
    const auto capacity = static_cast<std::int64_t>(2 + seed % 30);
    const std::vector<UnitId> ids = test::mixed_ids(rng, 600);
    FigureFour figure(static_cast<std::size_t>(capacity));
    std::vector<bool> expected;
    for (const UnitId id : ids) {
      expected.push_back(figure.use(id));
    }
    const auto arc = make_replacement("arc", capacity);
    CHECK(test::hit_sequence(*arc, capacity, ids) == expected);
    const auto large = make_replacement("arc", capacity * 4096);
    CHECK(test::hit_sequence(*large, capacity, ids, 4096) == expected);
    hits += std::ranges::count(expected, true);
  }
  CHECK(hits > 10000);
}

TEST_CASE("arc: units used twice outlive a scan, whose units push each other out") {
  const auto arc = make_replacement("arc", 4);
  // 1 and 2 go to T2; then T1 holds the scan, of which at most two fit: p is 0, so T1 gives way first.
  std::vector<UnitId> ids = {1, 2, 1, 2};
  for (UnitId scanned = 10; scanned < 20; ++scanned) {
    ids.push_back(scanned);
  }
  ids.insert(ids.end(), {1, 2});
  CHECK(test::hits_of(*arc, 4, ids) == 4);
  const auto lru = make_replacement("lru", 4);
  CHECK(test::hits_of(*lru, 4, ids) == 2);
}

TEST_CASE("arc: a return from B1 raises the target of T1 by the returning unit's bytes") {
  const auto arc = make_replacement("arc", 10);
  arc->touched(unit(1), 3, false);
  arc->touched(unit(1), 3, true);  // T2: 1
  arc->touched(unit(2), 4, false);
  arc->touched(unit(3), 3, false);  // T1: 3 2, 7 bytes; full
  arc->touched(unit(4), 2, false);
  CHECK(arc->victim() == unit(2));  // T1 holds more than p = 0; B1: 2
  // 8 bytes are resident: 4 3 in T1, 1 in T2. Unit 2 returns: p = max(1, 0 / 4) * 4 = 4; it goes to T2.
  arc->touched(unit(2), 4, false);
  CHECK(arc->victim() == unit(3));  // T1: 4 3, 5 bytes > p; B1: 3
  arc->touched(unit(5), 2, false);
  CHECK(arc->victim() == unit(1));  // T1: 4, 2 bytes < p, although 5 waits; so the oldest of T2
}

TEST_CASE("arc: in 200 random loads with units of all sizes every victim is resident, and the same twice") {
  const auto make = [](std::int64_t capacity) { return make_replacement("arc", capacity); };
  test::check_against_reference(make, make);
}

}  // namespace
}  // namespace kvr

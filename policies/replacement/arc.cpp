// Adaptive replacement cache. T1 holds units used once, T2 units used again, B1 and B2 the names of those
// that left them; p is the target of T1. All in bytes, with c the capacity; a list's size is what its units
// hold.
//
//   touched(object), in T1 or T2:  to the front of T2
//   touched(object), in B1:        p = min(c, p + max(1, B2 / B1) bytes); to T2
//   touched(object), in B2:        p = max(0, p - max(1, B1 / B2) bytes); to T2
//   touched(object), else:         to T1; drop the oldest names of B1 while T1 + B1 > c,
//                                  then of B2 while min(c, T1 + B1) + T2 + B2 > 2 c
//   updated(object):               its size; as a touched one if it is new: what a split took off a unit
//   victim():  T1 with what enters it > c, hence B1 empty: the back of T1, without a name in B1
//              T1 > p, or T1 = p and the last to enter came from B2, or T2 empty: the back of T1, name to B1
//              else: the back of T2, name to B2
//
// ARC chooses before it lets a newcomer in, the engine lets it in first: newcomers wait outside T1 and T2
// until the budget holds. With units of equal size and one use at a time this is the published algorithm.
#include <algorithm>

#include "policies/replacement/object_list.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Arc final : public Replacement {
 public:
  static constexpr std::string_view kName = "arc";
  static constexpr std::string_view kDoc =
      "Balances units used once against units used again, by which of them it regrets to have dropped.";
  static constexpr std::string_view kSource =
      "Megiddo and Modha, ARC: a self-tuning, low overhead replacement cache, FAST'03; sizes in bytes are "
      "ours";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Arc(Params, const Context& context) : capacity_bytes_(context.capacity_bytes) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    let_in_if_within_budget();
    for (ObjectList* const list : {&t1_, &t2_}) {
      if (list->contains(object)) {
        list->take(object);
        t2_.push_front({.object = object, .bytes = bytes});
        return;
      }
    }
    for (ObjectList* const list : {&to_t1_, &to_t2_}) {
      if (list->contains(object)) {
        list->take(object);
        to_t2_.push_front({.object = object, .bytes = bytes});
        return;
      }
    }
    come_in(object, bytes);
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    let_in_if_within_budget();
    for (ObjectList* const list : {&t1_, &t2_, &to_t1_, &to_t2_}) {
      if (list->resize(object, bytes)) {
        return;
      }
    }
    come_in(object, bytes);
  }

  void resized(std::int64_t capacity_bytes) override {
    capacity_bytes_ = capacity_bytes;
    t1_target_bytes_ = std::min(t1_target_bytes_, static_cast<double>(capacity_bytes));
    forget();
  }

  CacheObject victim() override {
    if (t1_.empty() && t2_.empty()) {
      let_in();
    }
    KVR_CHECK(!t1_.empty() || !t2_.empty(), "a victim was asked for while nothing is resident");
    forget();
    if (!t1_.empty() && !to_t1_.empty() && t1_.bytes() + to_t1_.bytes() > capacity_bytes_) {
      return t1_.pop_back().object;
    }
    const auto t1 = static_cast<double>(t1_.bytes());
    const bool from_t1 = t1 > t1_target_bytes_ || (t1 == t1_target_bytes_ && last_from_b2_) || t2_.empty();
    return from_t1 && !t1_.empty() ? move_to_ghosts(t1_, b1_) : move_to_ghosts(t2_, b2_);
  }

 private:
  void let_in_if_within_budget() {
    if (t1_.bytes() + t2_.bytes() + to_t1_.bytes() + to_t2_.bytes() <= capacity_bytes_) {
      let_in();
    }
  }
  void let_in() {
    while (!to_t1_.empty()) {
      t1_.push_front(to_t1_.pop_back());
    }
    while (!to_t2_.empty()) {
      t2_.push_front(to_t2_.pop_back());
    }
  }

  /// `object` is not resident yet.
  void come_in(CacheObject object, std::int64_t bytes) {
    const bool in_b1 = b1_.contains(object);
    last_from_b2_ = b2_.contains(object);
    if (in_b1) {
      const double ratio = std::max(1.0, static_cast<double>(b2_.bytes()) / static_cast<double>(b1_.bytes()));
      t1_target_bytes_ = std::min(static_cast<double>(capacity_bytes_),
                                  t1_target_bytes_ + ratio * static_cast<double>(bytes));
      b1_.take(object);
    } else if (last_from_b2_) {
      const double ratio = std::max(1.0, static_cast<double>(b1_.bytes()) / static_cast<double>(b2_.bytes()));
      t1_target_bytes_ = std::max(0.0, t1_target_bytes_ - ratio * static_cast<double>(bytes));
      b2_.take(object);
    }
    (in_b1 || last_from_b2_ ? to_t2_ : to_t1_).push_front({.object = object, .bytes = bytes});
    forget();
  }

  /// Drops the names that the bounds c for T1 + B1 and 2 c for everything have no room for. What T1 alone has
  /// above c leaves it without a name.
  void forget() {
    const auto once = [this] { return t1_.bytes() + to_t1_.bytes() + b1_.bytes(); };
    const auto often = [this] { return t2_.bytes() + to_t2_.bytes() + b2_.bytes(); };
    while (!b1_.empty() && once() > capacity_bytes_) {
      b1_.pop_back();
    }
    while (!b2_.empty() && std::min(once(), capacity_bytes_) + often() > 2 * capacity_bytes_) {
      b2_.pop_back();
    }
  }

  CacheObject move_to_ghosts(ObjectList& from, ObjectList& ghosts) {
    const ObjectList::Item item = from.pop_back();
    if (item.bytes > 0) {
      ghosts.push_front(item);
    }
    return item.object;
  }

  std::int64_t capacity_bytes_;
  double t1_target_bytes_ = 0.0;  // p
  bool last_from_b2_ = false;
  ObjectList t1_;
  ObjectList t2_;
  ObjectList b1_;
  ObjectList b2_;
  ObjectList to_t1_;  // wait until the budget holds
  ObjectList to_t2_;
};

const Registration<Replacement, Arc> registered;

}  // namespace
}  // namespace kvr

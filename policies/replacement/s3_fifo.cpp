// S3-FIFO: a small queue S that most one-time units leave soon, a main queue M, and the names of those that
// left S, the ghosts. All targets and sizes are in bytes.
//
//   touched(object), in S or M:  uses = min(uses + 1, 3)
//   touched(object), a ghost:    forget the ghost; to the front of M with no uses
//   touched(object), else:       to the front of S with no uses
//   updated(object):             its size; as a touched one if it is new: what a split took off a resident
//   unit victim():  until one is found:
//                M holds more than its target, or S is empty:
//                  while the back of M has uses: one less, to the front; take the first without
//                else, from the back of S:
//                  at least promote_uses uses: to the front of M with no uses
//                  fewer: take it, and keep its name as a ghost
//
// Where the engine has let an object in before it asks for victims, the object waits outside the queues until
// the budget holds. Until the first victim, what S has no room for goes to M: so the authors' own code does,
// while the paper leaves it in S.
#include <optional>

#include "policies/replacement/object_list.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class S3Fifo final : public Replacement {
 public:
  static constexpr std::string_view kName = "s3_fifo";
  static constexpr std::string_view kDoc =
      "Three queues: units come in by a small one and reach the main one only when they are used again.";
  static constexpr std::string_view kSource =
      "Yang et al., FIFO queues are all you need for cache eviction, SOSP'23";

  struct Params {
    double small_share = 0.1;
    double ghost_share = 0.9;
    std::int64_t promote_uses = 2;
  };
  static ParamTable<Params> params() {
    return {{"small_share",
             &Params::small_share,
             {.doc = "share of the capacity that the small queue gets",
              .min = 0.0,
              .max = 1.0,
              .source = "SOSP'23"}},
            {"ghost_share",
             &Params::ghost_share,
             {.doc = "bytes of the units whose names are remembered, over the capacity",
              .min = 0.0,
              .max = 64.0,
              .source = "SOSP'23: as much as the main queue"}},
            {"promote_uses",
             &Params::promote_uses,
             {.doc = "uses after the first that take a unit from the small queue to the main one",
              .min = 1,
              .max = kMostUses,
              .source = "SOSP'23: more than one"}}};
  }

  S3Fifo(Params params, const Context& context) : params_(params) { set_capacity(context.capacity_bytes); }

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    for (ObjectList* const queue : {&small_, &main_, &to_small_, &to_main_}) {
      queue->count_use(object, kMostUses);
    }
    updated(object, bytes);
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (small_.bytes() + main_.bytes() + to_small_.bytes() + to_main_.bytes() <= capacity_bytes_) {
      let_in();
    }
    for (ObjectList* const queue : {&small_, &main_, &to_small_, &to_main_}) {
      if (queue->resize(object, bytes)) {
        return;
      }
    }
    const bool was_ghost = ghosts_.contains(object);
    if (was_ghost) {
      ghosts_.take(object);
    }
    (was_ghost ? to_main_ : to_small_).push_front({.object = object, .bytes = bytes});
  }

  void resized(std::int64_t capacity_bytes) override {
    set_capacity(capacity_bytes);
    forget();
  }

  CacheObject victim() override {
    has_evicted_ = true;
    for (;;) {
      if (small_.empty() && main_.empty()) {
        let_in();
      }
      KVR_CHECK(!small_.empty() || !main_.empty(), "a victim was asked for while nothing is resident");
      if (small_.empty() || main_.bytes() > capacity_bytes_ - small_target_bytes_) {
        return take_from_main();
      }
      if (const std::optional<CacheObject> object = take_from_small()) {
        return *object;
      }
    }
  }

 private:
  static constexpr int kMostUses = 3;  // two bits

  void set_capacity(std::int64_t capacity_bytes) {
    const auto share_of = [capacity_bytes](double share) {
      return static_cast<std::int64_t>(static_cast<double>(capacity_bytes) * share);
    };
    capacity_bytes_ = capacity_bytes;
    small_target_bytes_ = share_of(params_.small_share);
    ghost_bytes_ = share_of(params_.ghost_share);
  }

  void let_in() {
    while (!to_small_.empty()) {
      const bool spills = !has_evicted_ && small_.bytes() >= small_target_bytes_;
      (spills ? main_ : small_).push_front(to_small_.pop_back());
    }
    while (!to_main_.empty()) {
      main_.push_front(to_main_.pop_back());
    }
  }

  CacheObject take_from_main() {
    ObjectList::Item item = main_.pop_back();
    while (item.uses > 0) {
      --item.uses;
      main_.push_front(item);
      item = main_.pop_back();
    }
    return item.object;
  }

  /// Nothing when every unit of the queue moves to the main one.
  std::optional<CacheObject> take_from_small() {
    while (!small_.empty()) {
      ObjectList::Item item = small_.pop_back();
      if (item.uses < params_.promote_uses) {
        remember(item);
        return item.object;
      }
      item.uses = 0;
      main_.push_front(item);
    }
    return std::nullopt;
  }

  void remember(ObjectList::Item item) {
    if (item.bytes > ghost_bytes_) {
      return;  // it alone would push all others out
    }
    item.uses = 0;
    ghosts_.push_front(item);
    forget();
  }
  void forget() {
    while (ghosts_.bytes() > ghost_bytes_) {
      ghosts_.pop_back();
    }
  }

  Params params_;
  std::int64_t capacity_bytes_ = 0;
  std::int64_t small_target_bytes_ = 0;
  std::int64_t ghost_bytes_ = 0;
  bool has_evicted_ = false;
  ObjectList small_;
  ObjectList main_;
  ObjectList ghosts_;
  ObjectList to_small_;  // wait until the budget holds
  ObjectList to_main_;
};

const Registration<Replacement, S3Fifo> registered;

}  // namespace
}  // namespace kvr

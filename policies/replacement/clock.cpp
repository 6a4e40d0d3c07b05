// CLOCK, the second-chance queue:
//
//   touched(object): mark it; if it is new, put it behind the hand (the front of the queue), unmarked
//   updated(object): nothing, or as a new one if it is new: the part that a split took off a resident unit
//   victim():        while the object under the hand (the back of the queue) is marked: clear the mark and
//                    move it to the front; take the first one that is unmarked
//
// The hand must not reach, in the same round, an object that has just come in: such objects wait until the
// budget holds again before they join the queue.
#include "policies/replacement/object_list.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Clock final : public Replacement {
 public:
  static constexpr std::string_view kName = "clock";
  static constexpr std::string_view kDoc =
      "First in, first out, but a unit used since the hand last passed gets another round.";
  static constexpr std::string_view kSource =
      "Corbato, A paging experiment with the Multics system, 1968; coming in sets no mark, as in S3-FIFO, "
      "SOSP'23";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Clock(Params, const Context& context) : capacity_bytes_(context.capacity_bytes) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    ring_.count_use(object, 1);
    newcomers_.count_use(object, 1);
    updated(object, bytes);
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (ring_.bytes() + newcomers_.bytes() <= capacity_bytes_) {
      let_in();
    }
    if (!ring_.resize(object, bytes) && !newcomers_.resize(object, bytes)) {
      newcomers_.push_front({.object = object, .bytes = bytes});
    }
  }

  void resized(std::int64_t capacity_bytes) override { capacity_bytes_ = capacity_bytes; }
  CacheObject victim() override {
    if (ring_.empty()) {
      let_in();
    }
    KVR_CHECK(!ring_.empty(), "a victim was asked for while nothing is resident");
    ObjectList::Item item = ring_.pop_back();
    while (item.uses > 0) {
      item.uses = 0;
      ring_.push_front(item);
      item = ring_.pop_back();
    }
    return item.object;
  }

 private:
  void let_in() {
    while (!newcomers_.empty()) {
      ring_.push_front(newcomers_.pop_back());
    }
  }

  std::int64_t capacity_bytes_;
  ObjectList ring_;
  ObjectList newcomers_;
};

const Registration<Replacement, Clock> registered;

}  // namespace
}  // namespace kvr

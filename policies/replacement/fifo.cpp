// First in, first out:
//
//   touched(object): put it at the front of the queue if it is not in it
//   updated(object): likewise: the part that a split took off a resident unit came in just now
//   victim():        take the object at the back; with spare_used, of those that were not touched since the
//                    last layer or step, while there are any
#include <unordered_set>

#include "policies/replacement/object_list.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Fifo final : public Replacement {
 public:
  static constexpr std::string_view kName = "fifo";
  static constexpr std::string_view kDoc = "Drops the unit that came in longest ago, used since or not.";
  static constexpr std::string_view kSource = "classic; the baseline of S3-FIFO, SOSP'23";

  struct Params {
    bool spare_used = false;
  };
  static ParamTable<Params> params() {
    return {
        {"spare_used",
         &Params::spare_used,
         {.doc = "what the current step uses is dropped after all else only",
          .source = "KVSwap, arXiv 2511.11907, whose selection lies in the buffer while it is attended to"}}};
  }

  Fifo(Params params, const Context&) : params_(params) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    updated(object, bytes);
    if (params_.spare_used) {
      used_.insert(object);
    }
  }
  void settled() override { used_.clear(); }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (!queue_.resize(object, bytes)) {
      queue_.push_front({.object = object, .bytes = bytes});
    }
  }

  CacheObject victim() override {
    KVR_CHECK(!queue_.empty(), "a victim was asked for while nothing is resident");
    return queue_.take(queue_.last_but([this](CacheObject object) { return used_.contains(object); })).object;
  }

 private:
  Params params_;
  ObjectList queue_;
  std::unordered_set<CacheObject, CacheObjectHash> used_;  // since the last layer or step
};

const Registration<Replacement, Fifo> registered;

}  // namespace
}  // namespace kvr

// First in, first out:
//
//   touched(object): put it at the front of the queue if it is not in it
//   updated(object): likewise: the part that a split took off a resident unit came in just now
//   victim():        take the object at the back
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

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Fifo(Params, const Context&) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override { updated(object, bytes); }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (!queue_.resize(object, bytes)) {
      queue_.push_front({.object = object, .bytes = bytes});
    }
  }

  CacheObject victim() override {
    KVR_CHECK(!queue_.empty(), "a victim was asked for while nothing is resident");
    return queue_.pop_back().object;
  }

 private:
  ObjectList queue_;
};

const Registration<Replacement, Fifo> registered;

}  // namespace
}  // namespace kvr

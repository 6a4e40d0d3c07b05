// Least recently used:
//
//   touched(object): move the object to the front of the list, or put it there
//   updated(object): nothing, or to the front if it is new: the part that a split took off a resident unit
//   victim():        take the object at the back
//
// The engine touches the units of a layer from the least to the most wanted, so among units of the same
// step and layer the worst-ranked goes first.
#include "policies/replacement/object_list.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Lru final : public Replacement {
 public:
  static constexpr std::string_view kName = "lru";
  static constexpr std::string_view kDoc =
      "Drops the unit whose last use is longest ago; being appended to is no use.";
  static constexpr std::string_view kSource =
      "classic; the order DynaKV's replacement is compared with (sec. 8, fig. 14b)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Lru(Params, const Context&) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    recency_.move_to_front(object);
    updated(object, bytes);
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (!recency_.resize(object, bytes)) {
      recency_.push_front({.object = object, .bytes = bytes});
    }
  }

  CacheObject victim() override {
    KVR_CHECK(!recency_.empty(), "a victim was asked for while nothing is resident");
    return recency_.pop_back().object;
  }

 private:
  ObjectList recency_;  // most recent first
};

const Registration<Replacement, Lru> registered;

}  // namespace
}  // namespace kvr

// Least recently used:
//
//   touched(object): move the object to the front of the list, or put it there
//   updated(object): nothing, or to the front if it is new: the part that a split took off a resident unit
//   victim():        take the object at the back
//
// The engine touches the units of a layer from the least to the most wanted, so among units of the same
// step and layer the worst-ranked goes first.
#include <list>
#include <unordered_map>

#include "sim/interfaces/replacement.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

struct Hash {
  std::size_t operator()(const CacheObject& object) const {
    constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio: spreads consecutive ids
    std::uint64_t hash = static_cast<std::uint32_t>(object.layer);
    hash = hash * kGolden + static_cast<std::uint32_t>(object.head);
    hash = hash * kGolden + static_cast<std::uint32_t>(object.unit);
    return static_cast<std::size_t>(hash * kGolden >> 16U);
  }
};

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

  void touched(CacheObject object, std::int64_t, bool) override {
    if (const auto found = place_.find(object); found != place_.end()) {
      recency_.splice(recency_.begin(), recency_, found->second);
    } else {
      insert(object);
    }
  }

  void updated(CacheObject object, std::int64_t) override {
    if (!place_.contains(object)) {  // split off a resident unit just now
      insert(object);
    }
  }

  CacheObject victim() override {
    KVR_CHECK(!recency_.empty(), "a victim was asked for while nothing is resident");
    const CacheObject object = recency_.back();
    recency_.pop_back();
    place_.erase(object);
    return object;
  }

 private:
  void insert(CacheObject object) {
    recency_.push_front(object);
    place_.emplace(object, recency_.begin());
  }

  std::list<CacheObject> recency_;  // most recent first
  std::unordered_map<CacheObject, std::list<CacheObject>::iterator, Hash> place_;
};

const Registration<Replacement, Lru> registered;

}  // namespace
}  // namespace kvr

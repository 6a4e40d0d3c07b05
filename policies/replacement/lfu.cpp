// Least frequently used, counting while an object is resident (in-cache LFU):
//
//   touched(object): uses += 1, from 0 if it was not resident
//   updated(object): nothing, or uses = 1 if it is new: the part that a split took off a resident unit
//   victim():        the object with the fewest uses; of several, the one whose last use is longest ago
//
// An object that has just come in is no victim until the budget holds again: it has the fewest uses, and
// nothing else could ever get in.
#include "policies/replacement/rank_order.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Lfu final : public Replacement {
 public:
  static constexpr std::string_view kName = "lfu";
  static constexpr std::string_view kDoc =
      "Drops the unit used in the fewest steps since it came in; of equals, the one used longest ago.";
  static constexpr std::string_view kSource = "classic; PQCache's block cache, SIGMOD'25";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Lfu(Params, const Context& context) : order_(context.capacity_bytes, Newcomers::wait) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    const Rank* const rank = order_.find(object);
    order_.put(object, {.uses = (rank == nullptr ? 0 : rank->uses) + 1, .last_use = ++now_}, bytes);
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (!order_.resize(object, bytes)) {
      touched(object, bytes, false);
    }
  }

  void resized(std::int64_t capacity_bytes) override { order_.set_capacity(capacity_bytes); }
  CacheObject victim() override { return order_.take_lowest().object; }

 private:
  struct Rank {
    std::int64_t uses = 0;
    std::int64_t last_use = 0;

    friend auto operator<=>(const Rank&, const Rank&) = default;
  };

  RankOrder<Rank> order_;
  std::int64_t now_ = 0;
};

const Registration<Replacement, Lfu> registered;

}  // namespace
}  // namespace kvr

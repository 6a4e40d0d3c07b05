// Belady's MIN, the oracle:
//
//   touched(object): its next use is the next place of the object in the accesses to come
//   updated(object): its size; the part that a split took off a resident unit is next used at its first place
//   victim():        the object whose next use is farthest away, or never
//
// For units of equal size no policy has more hits. For units of different sizes it is a strong policy and no
// bound: which units to keep is then a knapsack problem. A unit that has just come in may be given up at
// once, which a policy that must keep newcomers cannot do; `bypass: false` is the classic MIN, which must
// keep them.
#include <limits>
#include <unordered_map>
#include <vector>

#include "policies/replacement/rank_order.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Belady final : public Replacement {
 public:
  static constexpr std::string_view kName = "belady";
  static constexpr std::string_view kDoc =
      "Oracle: drops the unit whose next use is farthest away; the most hits possible, where units have one "
      "size.";
  static constexpr std::string_view kSource =
      "Belady, A study of replacement algorithms for a virtual-storage computer, IBM Systems Journal 5(2), "
      "1966";

  struct Params {
    bool bypass = true;
  };
  static ParamTable<Params> params() {
    return {{"bypass",
             &Params::bypass,
             {.doc = "whether a unit that has just come in may be given up at once; false: only when nothing "
                     "else is left, as in the classic MIN",
              .source = "ours"}}};
  }

  Belady(Params params, const Context& context)
      : future_(context.future),
        next_use_(context.future.size()),
        order_(context.capacity_bytes, params.bypass ? Newcomers::compete : Newcomers::wait) {
    for (std::size_t at = future_.size(); at-- > 0;) {
      std::int64_t& next = first_use_.try_emplace(future_[at], kNever).first->second;
      next_use_[at] = next;
      next = static_cast<std::int64_t>(at);
    }
  }

  bool needs_future() const override { return true; }

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    KVR_CHECK(now_ < future_.size() && future_[now_] == object, "access {} is not what was foretold", now_);
    order_.put(object, -next_use_[now_++], bytes);
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    if (!order_.resize(object, bytes)) {  // an id that has not been used: its first use is to come
      const auto first = first_use_.find(object);
      order_.put(object, first == first_use_.end() ? -kNever : -first->second, bytes);
    }
  }

  void resized(std::int64_t capacity_bytes) override { order_.set_capacity(capacity_bytes); }
  CacheObject victim() override { return order_.take_lowest().object; }

 private:
  static constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

  std::span<const CacheObject> future_;
  std::size_t now_ = 0;                 ///< place of the next access
  std::vector<std::int64_t> next_use_;  ///< [accesses] place of the same object's next access
  std::unordered_map<CacheObject, std::int64_t, CacheObjectHash> first_use_;
  RankOrder<std::int64_t> order_;  ///< by minus the next use
};

const Registration<Replacement, Belady> registered;

}  // namespace
}  // namespace kvr

// Least recently / frequently used: every past use counts, the less the older it is.
//
//   worth of an object at time t = sum over its uses at times u since it came in of 2^(-lambda (t - u))
//   touched(object): t += 1; worth = 1 + worth brought up to t
//   updated(object): its size; as a touched one if it is new: what a split took off a resident unit
//   victim():        the object worth least; of equals, the one used longest ago
//
// All worths fade alike, so their order needs no clock: kept is log2(worth) + lambda t. An object that has
// just come in is no victim until the budget holds again.
#include <cmath>

#include "policies/replacement/rank_order.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class Lrfu final : public Replacement {
 public:
  static constexpr std::string_view kName = "lrfu";
  static constexpr std::string_view kDoc =
      "Drops the unit whose uses, each fading with its age, add up to least: between lfu and lru.";
  static constexpr std::string_view kSource = "Lee et al., LRFU, IEEE Transactions on Computers 50(12), 2001";

  struct Params {
    double lambda = 0.01;
  };
  static ParamTable<Params> params() {
    return {{"lambda",
             &Params::lambda,
             {.doc = "a use counts half after 1 / lambda uses of any units; 0 is lfu, 1 is lru",
              .min = 0.0,
              .max = 1.0,
              .source = "range: Lee et al.; default: ours"}}};
  }

  Lrfu(Params params, const Context& context)
      : lambda_(params.lambda), order_(context.capacity_bytes, Newcomers::wait) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    const double faded = lambda_ * static_cast<double>(++now_);
    const Rank* const rank = order_.find(object);
    const double worth = 1.0 + (rank == nullptr ? 0.0 : std::exp2(rank->log_worth - faded));
    order_.put(object, {.log_worth = std::log2(worth) + faded, .last_use = now_}, bytes);
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
    double log_worth = 0.0;
    std::int64_t last_use = 0;

    friend auto operator<=>(const Rank&, const Rank&) = default;
  };

  double lambda_;
  std::int64_t now_ = 0;
  RankOrder<Rank> order_;
};

const Registration<Replacement, Lrfu> registered;

}  // namespace
}  // namespace kvr

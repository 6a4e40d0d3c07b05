// DynaKV's cluster-aligned replacement: small clusters first in line to stay, updated ones before all.
//
//   touched(object): note its size and that it is the most recently used
//   updated(object): put it into the reserve, as the most recently updated; while the reserve holds more than
//                    its share of the capacity, the one updated longest ago leaves it for the general order
//   victim():        of the general order, one of the largest size class, the least recently used first;
//                    only when the general order is empty, from the reserve the one updated longest ago
//
//   size class of an object: floor(log(bytes) / log(size_ratio))
//
// Large clusters are sequential on flash, hence cheap to read again, take more room and are likelier to
// split. A large unit that was read a moment ago may be the next victim: the order is by size, not by age.
// The paper states the two rules; shares, ties and classes are ours.
#include <cmath>

#include "policies/replacement/rank_order.hpp"
#include "sim/interfaces/replacement.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

class ClusterAligned final : public Replacement {
 public:
  static constexpr std::string_view kName = "cluster_aligned";
  static constexpr std::string_view kDoc =
      "Drops the largest units first, of equals the one used longest ago; units appended to or split a short "
      "while ago stay in a reserve.";
  static constexpr std::string_view kSource = "DynaKV, arXiv 2511.07427, sec. 6";

  struct Params {
    double reserved_share = 0.25;
    double size_ratio = 2.0;
  };
  static ParamTable<Params> params() {
    return {
        {"reserved_share",
         &Params::reserved_share,
         {.doc = "share of the capacity in which the most recently updated units stay whatever their size",
          .min = 0.0,
          .max = 1.0,
          .source = "ours; DynaKV gives no number"}},
        {"size_ratio",
         &Params::size_ratio,
         {.doc = "sizes within one power of this count as equal; 1: only equal sizes do",
          .min = 1.0,
          .max = 1e9,
          .source = "ours; DynaKV does not say how ties are broken"}}};
  }

  ClusterAligned(Params params, const Context& context)
      : params_(params),
        reserve_bytes_(share_of(context.capacity_bytes)),
        order_(context.capacity_bytes, Newcomers::compete),
        reserve_(context.capacity_bytes, Newcomers::compete) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    ++now_;
    if (const UpdateRank* const rank = reserve_.find(object)) {
      reserve_.put(object, {.last_update = rank->last_update, .last_use = now_}, bytes);
      trim_reserve();
    } else {
      order_.put(object, rank_of(bytes, now_), bytes);
    }
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    ++now_;
    const std::int64_t last_use = last_use_of(object);
    order_.take(object);
    reserve_.take(object);
    if (bytes > reserve_bytes_) {
      order_.put(object, rank_of(bytes, last_use), bytes);  // it alone would empty the reserve
    } else {
      reserve_.put(object, {.last_update = now_, .last_use = last_use}, bytes);
      trim_reserve();
    }
  }

  void resized(std::int64_t capacity_bytes) override {
    reserve_bytes_ = share_of(capacity_bytes);
    order_.set_capacity(capacity_bytes);
    reserve_.set_capacity(capacity_bytes);
    trim_reserve();
  }

  CacheObject victim() override {
    return order_.empty() ? reserve_.take_lowest().object : order_.take_lowest().object;
  }

 private:
  std::int64_t share_of(std::int64_t capacity_bytes) const {
    return static_cast<std::int64_t>(static_cast<double>(capacity_bytes) * params_.reserved_share);
  }

  struct SizeRank {
    std::int64_t below_largest = 0;  ///< minus the size class
    std::int64_t last_use = 0;

    friend auto operator<=>(const SizeRank&, const SizeRank&) = default;
  };
  struct UpdateRank {
    std::int64_t last_update = 0;
    std::int64_t last_use = 0;  ///< for the day when it leaves the reserve; updates are never simultaneous

    friend auto operator<=>(const UpdateRank&, const UpdateRank&) = default;
  };

  SizeRank rank_of(std::int64_t bytes, std::int64_t last_use) const {
    if (params_.size_ratio == 1.0 || bytes == 0) {
      return {.below_largest = -bytes, .last_use = last_use};
    }
    const double size_class =
        std::floor(std::log2(static_cast<double>(bytes)) / std::log2(params_.size_ratio));
    return {.below_largest = -1 - static_cast<std::int64_t>(size_class), .last_use = last_use};
  }

  /// The part that a split took off a unit counts as used with the split.
  std::int64_t last_use_of(CacheObject object) const {
    if (const UpdateRank* const rank = reserve_.find(object)) {
      return rank->last_use;
    }
    const SizeRank* const rank = order_.find(object);
    return rank == nullptr ? now_ : rank->last_use;
  }

  void trim_reserve() {
    while (reserve_.bytes() > reserve_bytes_) {
      const auto oldest = reserve_.take_lowest();
      order_.put(oldest.object, rank_of(oldest.bytes, oldest.rank.last_use), oldest.bytes);
    }
  }

  Params params_;
  std::int64_t reserve_bytes_;
  std::int64_t now_ = 0;
  RankOrder<SizeRank> order_;
  RankOrder<UpdateRank> reserve_;
};

const Registration<Replacement, ClusterAligned> registered;

}  // namespace
}  // namespace kvr

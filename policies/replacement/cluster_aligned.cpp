// DynaKV's cluster-aligned replacement: small clusters first in line to stay, updated ones before all.
//
//   touched(object): note its size and that it is the most recently used; its inflation = L
//   updated(object): put it into the reserve, as the most recently updated; while the reserve holds more than
//                    its share of the capacity, the one updated longest ago leaves it for the general order
//   victim():        of the general order, the one of lowest worth, of equals the one used longest ago;
//                    only when the general order is empty, from the reserve the one updated longest ago
//                    aged: L = max(L, H of the victim)
//
//   size class of an object: floor(log(bytes) / log(size_ratio)), of size size_ratio^class;
//                            where size_ratio is 1, every size is a class
//   worth, order aged:       H = its inflation + 1 / size of its class; of nothing resident: its inflation
//   worth, order strict:     the larger the class, the less
//
// Large clusters are sequential on flash, hence cheap to read again, take more room and are likelier to
// split. Aged is Greedy-Dual-Size with every unit equally dear: a unit that is not used is overtaken by all
// that come in later, the sooner the larger it is, so that small units stay longer, not for ever. Strict
// orders by size alone: a large unit that was read a moment ago may be the next victim, and a small one that
// is never used again stays.
//
// An update is no use: a unit that leaves the reserve has the inflation of its last use, and may be worth
// less than L. The paper states the two rules; ageing, shares, ties and classes are ours.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "policies/replacement/rank_order.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {
namespace {

class ClusterAligned final : public Replacement {
 public:
  static constexpr std::string_view kName = "cluster_aligned";
  static constexpr std::string_view kDoc =
      "Drops the largest units first, of equals the one used longest ago; units appended to or split a short "
      "while ago stay in a reserve. By default units age, so that small ones that are not used go as well.";
  static constexpr std::string_view kSource =
      "DynaKV, arXiv 2511.07427, sec. 6; ageing: Greedy-Dual-Size, Cao and Irani, USITS'97";

  struct Params {
    std::string order = "aged";
    double reserved_share = 0.25;
    double size_ratio = 2.0;
  };
  static ParamTable<Params> params() {
    return {
        {"order",
         &Params::order,
         {.doc = "aged: a unit goes the sooner the larger it is and the longer it was not used; strict: size "
                 "alone decides",
          .choices = "aged|strict",
          .source = "ours; DynaKV does not say whether small clusters ever leave"}},
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

  ClusterAligned(const Params& params, const Context& context)
      : ages_(params.order == "aged"),
        reserved_share_(params.reserved_share),
        size_ratio_(params.size_ratio),
        order_(context.capacity_bytes, Newcomers::compete),
        reserve_(context.capacity_bytes, Newcomers::compete) {
    reserve_share_of(context.capacity_bytes);
  }

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    const Use use = use_now();
    if (const UpdateRank* const rank = reserve_.find(object)) {
      reserve_.put(object, {.last_update = rank->last_update, .use = use}, bytes);
      trim_reserve();
    } else {
      order_.put(object, rank_of(use, bytes), bytes);
    }
  }

  void updated(CacheObject object, std::int64_t bytes) override {
    const Use now = use_now();
    const Use use = last_use_of(object).value_or(now);  // a new half counts as used with the split
    order_.take(object);
    reserve_.take(object);
    if (bytes > reserve_bytes_) {
      order_.put(object, rank_of(use, bytes), bytes);  // it alone would empty the reserve
    } else {
      reserve_.put(object, {.last_update = now.at, .use = use}, bytes);
      trim_reserve();
    }
  }

  void resized(std::int64_t capacity_bytes) override {
    order_.set_capacity(capacity_bytes);
    reserve_.set_capacity(capacity_bytes);
    reserve_share_of(capacity_bytes);
  }

  CacheObject victim() override {
    if (order_.empty()) {
      const auto oldest = reserve_.take_lowest();
      inflate(rank_of(oldest.rank.use, oldest.bytes));
      return oldest.object;
    }
    const auto lowest = order_.take_lowest();
    inflate(lowest.rank);
    return lowest.object;
  }

 private:
  struct Use {
    std::int64_t at = 0;
    double inflation = 0.0;  ///< L then; 0 where units do not age

    friend auto operator<=>(const Use&, const Use&) = default;
  };
  struct Rank {
    double worth = 0.0;
    Use use;

    friend auto operator<=>(const Rank&, const Rank&) = default;
  };
  struct UpdateRank {
    std::int64_t last_update = 0;
    Use use;  ///< for the day when it leaves the reserve; updates are never simultaneous

    friend auto operator<=>(const UpdateRank&, const UpdateRank&) = default;
  };

  void reserve_share_of(std::int64_t capacity_bytes) {
    reserve_bytes_ = static_cast<std::int64_t>(static_cast<double>(capacity_bytes) * reserved_share_);
    trim_reserve();
  }

  Use use_now() { return {.at = ++now_, .inflation = inflation_}; }

  void inflate(const Rank& victim) {
    if (ages_) {
      inflation_ = std::max(inflation_, victim.worth);
    }
  }

  Rank rank_of(const Use& use, std::int64_t bytes) const {
    return {.worth = ages_ ? use.inflation + per_byte_of_class(bytes) : -class_of(bytes), .use = use};
  }

  /// Ascending with size; 0 for nothing.
  double class_of(std::int64_t bytes) const {
    const auto size = static_cast<double>(bytes);
    return size_ratio_ == 1.0 || bytes == 0 ? size
                                            : 1.0 + std::floor(std::log2(size) / std::log2(size_ratio_));
  }

  double per_byte_of_class(std::int64_t bytes) const {
    if (bytes == 0) {
      return 0.0;
    }
    return size_ratio_ == 1.0 ? 1.0 / static_cast<double>(bytes)
                              : std::pow(size_ratio_, 1.0 - class_of(bytes));
  }

  std::optional<Use> last_use_of(CacheObject object) const {
    if (const UpdateRank* const rank = reserve_.find(object)) {
      return rank->use;
    }
    const Rank* const rank = order_.find(object);
    return rank == nullptr ? std::nullopt : std::optional(rank->use);
  }

  void trim_reserve() {
    while (reserve_.bytes() > reserve_bytes_) {
      const auto oldest = reserve_.take_lowest();
      order_.put(oldest.object, rank_of(oldest.rank.use, oldest.bytes), oldest.bytes);
    }
  }

  bool ages_;
  double reserved_share_;
  double size_ratio_;
  std::int64_t reserve_bytes_ = 0;
  std::int64_t now_ = 0;
  double inflation_ = 0.0;  ///< L
  RankOrder<Rank> order_;
  RankOrder<UpdateRank> reserve_;
};

const Registration<Replacement, ClusterAligned> registered;

}  // namespace
}  // namespace kvr

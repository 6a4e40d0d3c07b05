#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>
#include <utility>

#include "policies/replacement/object_list.hpp"
#include "sim/base/error.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {

/// Whether an object that has just come in may be the next victim. Classic algorithms choose a victim before
/// they let the newcomer in; the engine lets it in first, so it must wait until the budget holds again.
enum class Newcomers { wait, compete };

/// Objects with a rank and a size each; the lowest rank is given up first.
template <class Rank>
class RankOrder {
 public:
  RankOrder(std::int64_t capacity_bytes, Newcomers newcomers)
      : capacity_bytes_(capacity_bytes), newcomers_wait_(newcomers == Newcomers::wait) {}

  void set_capacity(std::int64_t capacity_bytes) { capacity_bytes_ = capacity_bytes; }
  bool empty() const { return items_.empty(); }
  std::int64_t bytes() const { return bytes_; }
  /// Null when `object` is not here.
  const Rank* find(CacheObject object) const {
    const auto found = items_.find(object);
    return found == items_.end() ? nullptr : &found->second.rank;
  }

  /// Adds `object` or changes its rank and size.
  void put(CacheObject object, const Rank& rank, std::int64_t bytes) {
    let_in_if_within_budget();
    const auto [place, is_new] = items_.try_emplace(object);
    Item& item = place->second;
    if (is_new) {
      item.waits = newcomers_wait_;
    } else {
      side(item).erase({item.rank, object});
    }
    bytes_ += bytes - item.bytes;
    item.rank = rank;
    item.bytes = bytes;
    side(item).emplace(rank, object);
  }
  /// Does nothing and returns false when `object` is not here.
  bool resize(CacheObject object, std::int64_t bytes) {
    let_in_if_within_budget();
    const auto found = items_.find(object);
    if (found != items_.end()) {
      bytes_ += bytes - found->second.bytes;
      found->second.bytes = bytes;
    }
    return found != items_.end();
  }
  bool take(CacheObject object) {
    const auto found = items_.find(object);
    if (found == items_.end()) {
      return false;
    }
    side(found->second).erase({found->second.rank, object});
    bytes_ -= found->second.bytes;
    items_.erase(found);
    return true;
  }
  struct Taken {
    CacheObject object;
    Rank rank;
    std::int64_t bytes;
  };
  Taken take_lowest() {
    if (order_.empty()) {
      let_in();
    }
    KVR_CHECK(!order_.empty(), "a victim was asked for while nothing is resident");
    const auto [rank, object] = *order_.begin();
    const Taken taken = {object, rank, items_.find(object)->second.bytes};
    take(object);
    return taken;
  }

 private:
  struct Item {
    Rank rank;
    std::int64_t bytes = 0;
    bool waits = false;
  };
  using Order = std::set<std::pair<Rank, CacheObject>>;

  Order& side(const Item& item) { return item.waits ? newcomers_ : order_; }
  void let_in_if_within_budget() {
    if (bytes_ <= capacity_bytes_) {
      let_in();
    }
  }
  void let_in() {
    for (const auto& [rank, object] : newcomers_) {
      items_.find(object)->second.waits = false;
    }
    order_.merge(newcomers_);
  }

  std::int64_t capacity_bytes_;
  bool newcomers_wait_;
  std::int64_t bytes_ = 0;
  std::unordered_map<CacheObject, Item, CacheObjectHash> items_;
  Order order_;
  Order newcomers_;
};

}  // namespace kvr

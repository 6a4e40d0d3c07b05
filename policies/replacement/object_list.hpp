#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>

#include "sim/base/error.hpp"
#include "sim/interfaces/replacement.hpp"

namespace kvr {

struct CacheObjectHash {
  std::size_t operator()(const CacheObject& object) const {
    constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15U;  // 2^64 / golden ratio: spreads consecutive ids
    std::uint64_t hash = static_cast<std::uint32_t>(object.layer);
    hash = hash * kGolden + static_cast<std::uint32_t>(object.head);
    hash = hash * kGolden + static_cast<std::uint32_t>(object.unit);
    return static_cast<std::size_t>(hash * kGolden >> 16U);
  }
};

/// A queue of objects with their sizes that finds each of them in constant time. Objects enter at the front.
class ObjectList {
 public:
  struct Item {
    CacheObject object;
    std::int64_t bytes = 0;
    int uses = 0;  ///< for policies that count them; the list does not
  };

  bool empty() const { return items_.empty(); }
  /// Of all items together.
  std::int64_t bytes() const { return bytes_; }
  bool contains(CacheObject object) const { return place_.contains(object); }

  void push_front(const Item& item) {
    items_.push_front(item);
    const bool added = place_.emplace(item.object, items_.begin()).second;
    KVR_CHECK(added, "unit {} of layer {}, head {} is in the list already", item.object.unit,
              item.object.layer, item.object.head);
    bytes_ += item.bytes;
  }
  Item pop_back() { return take(items_.back().object); }
  /// The one closest to the back that `spared(object)` does not spare; of those that it does, the last.
  template <class Spared>
  CacheObject last_but(Spared spared) const {
    const auto found =
        std::find_if(items_.rbegin(), items_.rend(), [&](const Item& item) { return !spared(item.object); });
    return found == items_.rend() ? items_.back().object : found->object;
  }
  /// Removes `object`, which is in the list.
  Item take(CacheObject object) {
    const auto found = place_.find(object);
    const Item item = *found->second;
    items_.erase(found->second);
    place_.erase(found);
    bytes_ -= item.bytes;
    return item;
  }

  /// These do nothing and return false when `object` is not in the list.
  bool move_to_front(CacheObject object) {
    const auto found = place_.find(object);
    if (found != place_.end()) {
      items_.splice(items_.begin(), items_, found->second);
    }
    return found != place_.end();
  }
  bool resize(CacheObject object, std::int64_t bytes) {
    const auto found = place_.find(object);
    if (found != place_.end()) {
      bytes_ += bytes - found->second->bytes;
      found->second->bytes = bytes;
    }
    return found != place_.end();
  }
  /// Counts one more use, up to `most`.
  bool count_use(CacheObject object, int most) {
    const auto found = place_.find(object);
    if (found != place_.end()) {
      found->second->uses = std::min(found->second->uses + 1, most);
    }
    return found != place_.end();
  }

 private:
  std::list<Item> items_;
  std::unordered_map<CacheObject, std::list<Item>::iterator, CacheObjectHash> place_;
  std::int64_t bytes_ = 0;
};

}  // namespace kvr

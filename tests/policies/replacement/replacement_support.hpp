#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <vector>

#include "sim/interfaces/replacement.hpp"
#include "tests/policies/support.hpp"

namespace kvr::test {

inline CacheObject unit(UnitId id) {
  return {.layer = 0, .head = 0, .unit = id};
}

inline std::unique_ptr<Replacement> make_replacement(std::string_view name, std::int64_t capacity_bytes,
                                                     const ParamValues& values = {}) {
  return make<Replacement>(name, values, {.capacity_bytes = capacity_bytes, .root_seed = 1});
}

/// Touches `ids` in order, one byte each, and then asks for `victims` victims.
inline std::vector<UnitId> victims_after(Replacement& policy, const std::vector<UnitId>& ids, int victims) {
  for (const UnitId id : ids) {
    policy.touched(unit(id), 1, false);
  }
  std::vector<UnitId> given_up;
  for (int i = 0; i < victims; ++i) {
    given_up.push_back(policy.victim().unit);
  }
  return given_up;
}

/// Whether each of `ids`, units of `bytes` bytes used one after the other, hits in a cache for `capacity`
/// units.
inline std::vector<bool> hit_sequence(Replacement& policy, std::int64_t capacity,
                                      const std::vector<UnitId>& ids, std::int64_t bytes = 1) {
  std::set<UnitId> resident;
  std::vector<bool> hits;
  for (const UnitId id : ids) {
    hits.push_back(!resident.insert(id).second);
    policy.touched(unit(id), bytes, hits.back());
    while (std::ssize(resident) > capacity) {
      const CacheObject victim = policy.victim();
      REQUIRE(resident.erase(victim.unit) == 1);
    }
  }
  return hits;
}

inline std::int64_t hits_of(Replacement& policy, std::int64_t capacity, const std::vector<UnitId>& ids) {
  return std::ranges::count(hit_sequence(policy, capacity, ids), true);
}

inline std::vector<CacheObject> objects_of(const std::vector<UnitId>& ids) {
  std::vector<CacheObject> objects;
  std::ranges::transform(ids, std::back_inserter(objects), unit);
  return objects;
}

/// A mix that exercises adaptive policies: skewed uses, scans of units that do not come back, loops.
inline std::vector<UnitId> mixed_ids(Rng& rng, int uses) {
  std::vector<UnitId> ids;
  UnitId scanned = 10000;
  while (std::ssize(ids) < uses) {
    const std::uint64_t kind = rng.below(4);
    const auto length = static_cast<int>(5 + rng.below(40));
    const auto loop = static_cast<int>(2 + rng.below(30));
    for (int i = 0; i < length; ++i) {
      const std::uint64_t any = rng.below(60);
      ids.push_back(kind == 0   ? scanned++
                    : kind == 1 ? 1000 + i % loop
                                : static_cast<UnitId>(any * any / 60));
    }
  }
  return ids;
}

/// The plainest form of a policy: a list that is searched from end to end. A subclass says who goes first.
class PlainReplacement : public Replacement {
 public:
  PlainReplacement(std::int64_t capacity_bytes, bool newcomers_wait)
      : capacity_bytes_(capacity_bytes), newcomers_wait_(newcomers_wait) {}

  void touched(CacheObject object, std::int64_t bytes, bool) override {
    Item& item = come_in(object, bytes);
    ++now_;
    used(item);
    item.last_use = now_;
    ++item.uses;
  }
  void updated(CacheObject object, std::int64_t bytes) override {
    const bool known = std::ranges::count(items_, object, &Item::object) > 0;
    if (known) {
      come_in(object, bytes);
    } else {
      touched(object, bytes, false);
    }
  }
  CacheObject victim() override {
    const bool all_wait = std::ranges::all_of(items_, &Item::waits);
    auto chosen = items_.end();
    for (auto item = items_.begin(); item != items_.end(); ++item) {
      if ((all_wait || !item->waits) && (chosen == items_.end() || goes_before(*item, *chosen))) {
        chosen = item;
      }
    }
    if (all_wait) {
      std::ranges::for_each(items_, [](Item& item) { item.waits = false; });
    }
    const CacheObject object = chosen->object;
    items_.erase(chosen);
    return object;
  }

 protected:
  struct Item {
    CacheObject object;
    std::int64_t bytes = 0;
    std::int64_t uses = 0;
    std::int64_t came_in = 0;
    std::int64_t last_use = 0;
    double value = 0.0;  ///< for subclasses
    bool waits = false;
  };

  /// Whether `a` is given up before `b`.
  virtual bool goes_before(const Item& a, const Item& b) const = 0;
  virtual void used(Item& /*item*/) {}
  std::int64_t now() const { return now_; }

 private:
  Item& come_in(CacheObject object, std::int64_t bytes) {
    std::int64_t total = 0;
    for (const Item& item : items_) {
      total += item.bytes;
    }
    if (total <= capacity_bytes_) {
      std::ranges::for_each(items_, [](Item& item) { item.waits = false; });
    }
    auto found = std::ranges::find(items_, object, &Item::object);
    if (found == items_.end()) {
      items_.push_back({.object = object, .came_in = ++arrivals_, .waits = newcomers_wait_});
      found = items_.end() - 1;
    }
    found->bytes = bytes;
    return *found;
  }

  std::int64_t capacity_bytes_;
  bool newcomers_wait_;
  std::int64_t now_ = 0;
  std::int64_t arrivals_ = 0;
  std::vector<Item> items_;
};

/// What the engine does to a policy, at random: bursts of uses, appends, splits, then victims until the
/// budget holds. Units have different sizes, which change. Two policies must name the same victims; each must
/// be resident. Returns how many victims there were.
class RandomLoad {
 public:
  RandomLoad(std::int64_t capacity_bytes, std::uint64_t seed) : capacity_bytes_(capacity_bytes), rng_(seed) {}

  std::int64_t run(Replacement& policy, Replacement& reference, int rounds) {
    for (int round = 0; round < rounds; ++round) {
      for (std::uint64_t uses = 1 + rng_.below(4); uses > 0; --uses) {
        use(policy, reference);
      }
      if (rng_.below(3) == 0) {
        update(policy, reference);
      }
      evict(policy, reference);
    }
    return victims_;
  }

 private:
  void use(Replacement& policy, Replacement& reference) {
    // Squaring prefers small ids; a tenth of the uses goes to units that are never used again.
    const std::uint64_t any = rng_.below(30);
    const UnitId id = rng_.below(10) == 0 ? next_id_++ : static_cast<UnitId>(any * any / 30);
    std::int64_t& bytes = bytes_[id];
    const bool hit = bytes > 0;
    bytes = std::max<std::int64_t>(bytes, 1 + static_cast<std::int64_t>(rng_.below(9)));
    policy.touched(unit(id), bytes, hit);
    reference.touched(unit(id), bytes, hit);
  }

  /// An append to, or a split of, a resident unit; a split may leave nothing resident in the old half.
  void update(Replacement& policy, Replacement& reference) {
    if (bytes_.empty()) {
      return;
    }
    const auto place = std::next(bytes_.begin(), static_cast<std::ptrdiff_t>(rng_.below(bytes_.size())));
    if (rng_.below(2) == 0 && place->second > 0) {
      report(policy, reference, place->first, place->second + 1);
    } else if (place->second > 0) {
      const auto kept = static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(place->second)));
      const std::int64_t rest = place->second - kept;
      report(policy, reference, place->first, kept);
      report(policy, reference, next_id_++, rest);
    }
  }

  void report(Replacement& policy, Replacement& reference, UnitId id, std::int64_t bytes) {
    bytes_[id] = bytes;
    policy.updated(unit(id), bytes);
    reference.updated(unit(id), bytes);
  }

  void evict(Replacement& policy, Replacement& reference) {
    const auto total = [this] {
      std::int64_t sum = 0;
      for (const auto& [id, bytes] : bytes_) {
        sum += bytes;
      }
      return sum;
    };
    while (total() > capacity_bytes_) {
      const CacheObject victim = policy.victim();
      REQUIRE(victim == reference.victim());
      REQUIRE(bytes_.erase(victim.unit) == 1);
      ++victims_;
    }
  }

  std::int64_t capacity_bytes_;
  Rng rng_;
  std::map<UnitId, std::int64_t> bytes_;  ///< of what is resident
  UnitId next_id_ = 1000;
  std::int64_t victims_ = 0;
};

/// The policy that `make_policy(capacity)` makes names the same victims as that of
/// `make_reference(capacity)`, over 200 random loads, which must have had victims.
template <class MakePolicy, class MakeReference>
void check_against_reference(MakePolicy make_policy, MakeReference make_reference) {
  std::int64_t victims = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    const auto capacity = static_cast<std::int64_t>(5 + seed % 60);
    auto policy = make_policy(capacity);
    auto reference = make_reference(capacity);
    victims += RandomLoad(capacity, seed).run(*policy, *reference, 150);
  }
  CHECK(victims > 10000);
}

}  // namespace kvr::test

#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sim/interfaces/replacement.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr::test {

/// A tier between the first and the last, of units of one entry each.
struct TierSpec {
  std::int64_t capacity;
  bool exclusive;
};

/// What a step asked of it.
struct TierCounts {
  std::int64_t asked = 0;
  std::int64_t read = 0;
  std::int64_t demoted = 0;
  std::int64_t held = 0;
};

struct StepCounts {
  std::int64_t missed = 0;     ///< by the first tier
  std::int64_t from_last = 0;  ///< of those, by all tiers between
  std::vector<TierCounts> tiers;
  std::vector<CacheObject> missed_objects;
  std::vector<CacheObject> last_objects;
};

/// LRU in every tier, one budget each, written without any of the engine's parts and with no care for speed.
/// All of it counts entries, or what `size` says of each.
class TierReference {
 public:
  using Size = std::function<std::int64_t(CacheObject)>;
  TierReference(
      std::int64_t first_capacity, std::vector<TierSpec> tiers, Size size = [](CacheObject) { return 1; });

  /// `touched`: what the heads of each layer in turn demand in a step, least wanted first within a head.
  StepCounts step(std::span<const CacheObject> touched);
  /// By the first tier.
  std::int64_t held() const { return total(held_.front()); }

 private:
  using Order = std::vector<CacheObject>;  ///< least recently used first

  void read_layer(std::span<const CacheObject> touched, StepCounts& counts);
  void read(CacheObject object, StepCounts& counts);
  void settle_layer(std::span<const CacheObject> touched, StepCounts& counts);
  std::int64_t capacity_of(std::size_t tier) const;
  std::int64_t total(const Order& objects) const;

  Size size_;
  std::int64_t first_capacity_;
  std::vector<TierSpec> specs_;
  std::vector<Order> held_;                       ///< [first tier and those between]
  std::vector<std::vector<CacheObject>> looked_;  ///< [likewise], for what in the layer
};

/// [steps]: what the heads demand, as a first tier with room for everything hears of it.
std::vector<std::vector<CacheObject>> demands(const ReplayFixture& fixture, const Setup& setup);

}  // namespace kvr::test

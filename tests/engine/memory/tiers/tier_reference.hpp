#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/replacement.hpp"

namespace kvr::test {

/// A tier between the first and the last, of units of one entry each.
struct TierSpec {
  std::int64_t capacity_entries;
  bool exclusive;
};

/// What a step asked of it, in entries.
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
};

/// LRU in every tier, one budget each, written without any of the engine's parts and with no care for speed.
class TierReference {
 public:
  TierReference(std::int64_t first_capacity_entries, std::vector<TierSpec> tiers);

  /// `touched`: what the heads of each layer in turn demand in a step, least wanted first within a head.
  StepCounts step(std::span<const CacheObject> touched);

 private:
  using Order = std::vector<CacheObject>;  ///< least recently used first

  void read_layer(std::span<const CacheObject> touched, StepCounts& counts);
  void read(CacheObject object, StepCounts& counts);
  void settle_layer(std::span<const CacheObject> touched, StepCounts& counts);
  std::int64_t capacity_of(std::size_t tier) const;

  std::int64_t first_capacity_;
  std::vector<TierSpec> specs_;
  std::vector<Order> held_;                       ///< [first tier and those between]
  std::vector<std::vector<CacheObject>> looked_;  ///< [likewise], for what in the layer
};

}  // namespace kvr::test

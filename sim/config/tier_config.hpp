#pragma once

#include <cstdint>
#include <string>

#include "sim/config/stage_config.hpp"

namespace kvr {

/// Where a layer's cached entries are while other layers compute.
enum class CacheSwap : std::uint8_t {
  none,      ///< in the first tier
  in_place,  ///< where the layout has them, so that nothing is written; those it has not written yet: as
             ///< `none`
  area,      ///< in an area of the layer's own, written when they change and read in one run
};

/// What is left on flash while other layers compute, so that the first tier holds it for one layer at a time.
struct VirtualMemory {
  bool representatives = false;  ///< what the scorer keeps about the units
  CacheSwap cache = CacheSwap::none;
};

/// A tier below the first that is memory: its entries come up to the first tier over its link, or attention
/// reads them by it.
struct TierConfig {
  std::string name;
  std::size_t place = 0;  ///< among all tiers; the first is 0
  double bandwidth_bytes_per_s = 0.0;
  double latency_s = 0.0;
  std::int64_t capacity_bytes = 0;  ///< of the whole model; 0: the last tier, which holds everything
  ComponentChoice replacement;      ///< where it has a capacity, as `exclusive`
  bool exclusive = false;           ///< holds nothing that a tier above it holds
  bool in_place = false;            ///< attention reads it where it is; else entries are copied up first
};

}  // namespace kvr

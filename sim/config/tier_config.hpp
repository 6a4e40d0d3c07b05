#pragma once

#include <cstdint>
#include <string>

#include "sim/config/stage_config.hpp"

namespace kvr {

/// A tier below the first that is memory: its entries come up to the first tier over its link.
struct TierConfig {
  std::string name;
  std::size_t place = 0;  ///< among all tiers; the first is 0
  double bandwidth_bytes_per_s = 0.0;
  double latency_s = 0.0;
  std::int64_t capacity_bytes = 0;  ///< of the whole model; 0: the last tier, which holds everything
  ComponentChoice replacement;      ///< where it has a capacity, as `exclusive`
  bool exclusive = false;           ///< holds nothing that a tier above it holds
};

}  // namespace kvr

#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/config/tier_config.hpp"
#include "sim/engine/memory/tiers/tier_traffic.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// What the links of the memory below the first tier take: a transfer of b bytes of a layer latency + b /
/// bandwidth, and nothing where there is nothing to transfer.
class LinkTimes {
 public:
  explicit LinkTimes(std::span<const TierConfig> tiers) : tiers_(tiers.begin(), tiers.end()) {}

  /// `traffic` [links] of a layer, `bytes` of what an entry of it stands for.
  std::vector<LinkDemand> of(std::span<const TierTraffic> traffic, double bytes) const;
  std::vector<std::string> names() const;

 private:
  std::vector<TierConfig> tiers_;
};

}  // namespace kvr

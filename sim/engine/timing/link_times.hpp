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

  /// `traffic` [links] of a layer, with what is guessed for it or without; `bytes` of what an entry stands
  /// for.
  std::vector<LinkDemand> of(std::span<const TierTraffic> traffic, bool with_guesses, double bytes) const;
  /// Of what is guessed for the layer, before it asks.
  std::vector<LinkDemand> ahead(std::span<const TierTraffic> traffic, double bytes) const;
  std::vector<std::string> names() const;

 private:
  double time_s(std::size_t link, std::int64_t entries, double bytes) const;

  std::vector<TierConfig> tiers_;
};

}  // namespace kvr

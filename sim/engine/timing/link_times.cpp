#include "sim/engine/timing/link_times.hpp"

#include <algorithm>
#include <iterator>

namespace kvr {

std::vector<LinkDemand> LinkTimes::of(std::span<const TierTraffic> traffic, double bytes) const {
  std::vector<LinkDemand> demands;
  for (std::size_t link = 0; link < traffic.size(); ++link) {
    const TierConfig& tier = tiers_[link];
    const auto time_s = [&](std::int64_t entries) {
      return entries > 0 ? tier.latency_s + static_cast<double>(entries) * bytes / tier.bandwidth_bytes_per_s
                         : 0.0;
    };
    const TierTraffic& moved = traffic[link];
    demands.push_back({.read_s = time_s(moved.read),
                       .forward_s = time_s(moved.forwarded),
                       .update_s = time_s(moved.updated),
                       .demote_s = time_s(moved.demoted),
                       .write_s = time_s(moved.written)});
  }
  return demands;
}

std::vector<std::string> LinkTimes::names() const {
  std::vector<std::string> names;
  std::ranges::transform(tiers_, std::back_inserter(names), &TierConfig::name);
  return names;
}

}  // namespace kvr

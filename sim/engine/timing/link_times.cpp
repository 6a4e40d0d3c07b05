#include "sim/engine/timing/link_times.hpp"

#include <algorithm>
#include <iterator>

namespace kvr {

double LinkTimes::time_s(std::size_t link, std::int64_t entries, double bytes) const {
  const TierConfig& tier = tiers_[link];
  return entries > 0 ? tier.latency_s + static_cast<double>(entries) * bytes / tier.bandwidth_bytes_per_s
                     : 0.0;
}

std::vector<LinkDemand> LinkTimes::of(std::span<const TierTraffic> traffic, bool with_guesses,
                                      double bytes) const {
  std::vector<LinkDemand> demands;
  for (std::size_t link = 0; link < traffic.size(); ++link) {
    const TierTraffic& moved = traffic[link];
    const std::int64_t guessed = with_guesses ? moved.ahead : 0;
    const std::int64_t forwarded = with_guesses ? moved.forwarded_ahead : 0;
    demands.push_back({.read_s = time_s(link, moved.read + guessed, bytes),
                       .forward_s = time_s(link, moved.forwarded + forwarded, bytes),
                       .update_s = time_s(link, moved.updated, bytes),
                       .demote_s = time_s(link, moved.demoted, bytes),
                       .write_s = time_s(link, moved.written, bytes)});
  }
  return demands;
}

std::vector<LinkDemand> LinkTimes::ahead(std::span<const TierTraffic> traffic, double bytes) const {
  std::vector<LinkDemand> demands;
  for (std::size_t link = 0; link < traffic.size(); ++link) {
    demands.push_back({.read_s = time_s(link, traffic[link].ahead, bytes),
                       .forward_s = time_s(link, traffic[link].forwarded_ahead, bytes)});
  }
  return demands;
}

std::vector<std::string> LinkTimes::names() const {
  std::vector<std::string> names;
  std::ranges::transform(tiers_, std::back_inserter(names), &TierConfig::name);
  return names;
}

}  // namespace kvr

#include "sim/engine/timing/layer_transfers.hpp"

#include <algorithm>
#include <iterator>

namespace kvr {

std::vector<Transfer> LayerTransfers::of(std::span<const TierTraffic> traffic, bool guessed_too,
                                         const RecordScale& scale, const RequestsByUse& requests) const {
  List list{traffic, scale, requests};
  add_flash(Use::representatives, list);
  add_flash(Use::swap, list);
  bring_up(
      Use::demand,
      [guessed_too](const TierTraffic& moved) {
        return moved.read + (guessed_too ? moved.ahead : RecordSum{});
      },
      [guessed_too](const TierTraffic& moved) {
        return moved.forwarded + (guessed_too ? moved.forwarded_ahead : RecordSum{});
      },
      list);
  add_flash(Use::update, list);
  for (std::size_t link = traffic.size(); link-- > 0;) {
    add_link(Use::update, link, &TierTraffic::updated, false, true, list);
  }
  for (std::size_t link = 0; link < traffic.size(); ++link) {
    add_link(Use::demotion, link, &TierTraffic::demoted, true, false, list);
    add_link(Use::append, link, &TierTraffic::written, true, false, list);
  }
  bring_up(Use::placement, &TierTraffic::placed, &TierTraffic::forwarded_placed, list);
  for (std::size_t link = 0; link < traffic.size(); ++link) {
    add_link(Use::placement, link, &TierTraffic::displaced, true, false, list);
  }
  return std::move(list.transfers);
}

std::vector<Transfer> LayerTransfers::ahead(std::span<const TierTraffic> traffic, const RecordScale& scale,
                                            const RequestsByUse& requests) const {
  List list{traffic, scale, requests};
  bring_up(Use::prefetch, &TierTraffic::ahead, &TierTraffic::forwarded_ahead, list);
  return std::move(list.transfers);
}

void LayerTransfers::bring_up(Use use, const Count& direct, const Count& forwarded, List& list) const {
  for (std::size_t link = 0; link < list.traffic.size(); ++link) {
    add_link(use, link, direct, false, false, list);
  }
  add_flash(use, list);
  for (std::size_t link = list.traffic.size(); link-- > 0;) {
    add_link(use, link, forwarded, false, true, list);
  }
}

void LayerTransfers::add_flash(Use use, List& list) const {
  if (const auto requests = list.requests[static_cast<std::size_t>(use)]; !requests.empty()) {
    list.transfers.push_back(
        {.use = use, .from = static_cast<std::int32_t>(tiers_.size() + 1), .to = 0, .requests = requests});
  }
}

void LayerTransfers::add_link(Use use, std::size_t link, const Count& count, bool down, bool behind,
                              List& list) const {
  const RecordSum moved = count(list.traffic[link]);
  if (moved.entries > 0) {
    const TierConfig& tier = tiers_[link];
    const double duration_s = tier.latency_s + list.scale.bytes(moved) / tier.bandwidth_bytes_per_s;
    const auto below = static_cast<std::int32_t>(link + 1);
    list.transfers.push_back({.use = use,
                              .from = down ? below - 1 : below,
                              .to = down     ? below
                                    : behind ? below - 1
                                             : 0,
                              .behind = behind,
                              .duration_s = duration_s});
  }
}

std::vector<std::string> LayerTransfers::names() const {
  std::vector<std::string> names;
  std::ranges::transform(tiers_, std::back_inserter(names), &TierConfig::name);
  return names;
}

}  // namespace kvr

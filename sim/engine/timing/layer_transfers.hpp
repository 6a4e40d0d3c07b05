#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/config/tier_config.hpp"
#include "sim/engine/memory/tiers/tier_traffic.hpp"
#include "sim/interfaces/record_sizes.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// What the flash is asked for in a step of a layer, by use.
using RequestsByUse = std::array<std::span<const IoRequest>, kUses>;

/// Makes a layer's transfers of what it asks the flash for and of what tiers move. Over the link of a tier
/// below the first b bytes take latency + b / bandwidth, and nothing where there is nothing to transfer; what
/// flash gives goes over every link once it is read, the slowest tier's first (store and forward).
class LayerTransfers {
 public:
  explicit LayerTransfers(std::span<const TierConfig> tiers) : tiers_(tiers.begin(), tiers.end()) {}

  /// `traffic` [links] of a layer; `guessed_too`: what is guessed for it is among what it demands. `scale`:
  /// what an entry stands for.
  std::vector<Transfer> of(std::span<const TierTraffic> traffic, bool guessed_too, const RecordScale& scale,
                           const RequestsByUse& requests) const;
  /// What is guessed for the layer, before it asks.
  std::vector<Transfer> ahead(std::span<const TierTraffic> traffic, const RecordScale& scale,
                              const RequestsByUse& requests) const;
  std::vector<std::string> names() const;

 private:
  /// Entries that go over a link.
  using Count = std::function<RecordSum(const TierTraffic&)>;

  /// One layer's, in the order of issue.
  struct List {
    std::span<const TierTraffic> traffic;
    RecordScale scale;
    const RequestsByUse& requests;
    std::vector<Transfer> transfers = {};
  };

  /// From each tier of memory what it has, from flash what it alone has, and on over every link.
  void bring_up(Use use, const Count& direct, const Count& forwarded, List& list) const;
  void add_flash(Use use, List& list) const;
  void add_link(Use use, std::size_t link, const Count& count, bool down, bool behind, List& list) const;

  std::vector<TierConfig> tiers_;
};

}  // namespace kvr

#pragma once

#include <cstdint>

#include "models/flash/device_params.hpp"

namespace kvr::flash {

/// A well mixed 64-bit hash (the finaliser of SplitMix64), for choices that must not depend on order.
constexpr std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

/// Where a controller has put a logical address: stripes go round the dies, and every kRunSuperpages
/// superpages (one stripe on every die) begin on a die of their own, because data land where the write
/// pointer happens to be. Without that, addresses a large power of two apart would share a die.
class Placement {
 public:
  Placement(const DeviceParams& device, std::uint64_t root_seed)
      : stripe_(static_cast<std::uint64_t>(device.stripe)),
        dies_(static_cast<std::uint64_t>(device.channels * device.dies_per_channel)),
        seed_(mixed(root_seed)) {}

  std::uint32_t die_of(std::int64_t offset_bytes) const {
    const std::uint64_t stripe = static_cast<std::uint64_t>(offset_bytes) / stripe_;
    const std::uint64_t first = mixed(seed_ ^ (stripe / (dies_ * kRunSuperpages)));
    return static_cast<std::uint32_t>((stripe + first % dies_) % dies_);
  }
  std::uint32_t die_of_map_page(std::uint64_t page) const {
    return static_cast<std::uint32_t>(mixed(~seed_ ^ page) % dies_);
  }
  /// Bytes from `offset_bytes` to the end of its stripe.
  std::int64_t left_in_stripe(std::int64_t offset_bytes) const {
    const auto stripe = static_cast<std::int64_t>(stripe_);
    return stripe - offset_bytes % stripe;
  }

 private:
  static constexpr std::uint64_t kRunSuperpages = 8;

  std::uint64_t stripe_;
  std::uint64_t dies_;
  std::uint64_t seed_;
};

}  // namespace kvr::flash

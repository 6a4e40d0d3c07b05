#include "models/flash/device_energy.hpp"

#include <cstdint>

namespace kvr::flash {

namespace {
constexpr double kBitsPerByte = 8.0;
}  // namespace

DeviceEnergy energy_of(const DeviceParams& device, const DeviceStats& stats, double at_s) {
  return {.idle_j = device.idle_power * at_s,
          .command_j = device.command_energy * static_cast<double>(stats.commands),
          .read_j = device.read_energy * kBitsPerByte * stats.sensed_bytes,
          .mapping_j = device.map_read_energy * stats.map_misses,
          .write_j = kBitsPerByte *
                     (device.slc_write_energy * stats.slc_bytes + device.tlc_write_energy * stats.tlc_bytes)};
}

double sensed_bytes(const DeviceParams& device, double bytes) {
  const std::int64_t pages = (static_cast<std::int64_t>(bytes) + device.page - 1) / device.page;
  return static_cast<double>(pages * device.page);
}

}  // namespace kvr::flash

#pragma once

#include "models/flash/device_params.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// Energy of what `stats` counts, up to `at_s`:
///   idle_power * at_s + command_energy * commands + read_energy * 8 * sensed bytes
///   + map_read_energy * mapping misses + 8 * (slc_write_energy * SLC bytes + tlc_write_energy * TLC bytes)
/// The array senses whole pages, so a 4 KiB read costs a page; programmed bytes include amplification.
DeviceEnergy energy_of(const DeviceParams& device, const DeviceStats& stats, double at_s);

/// Bytes that the array senses for a command of `bytes`: whole pages, as few as hold them. `bytes` is whole.
double sensed_bytes(const DeviceParams& device, double bytes);

}  // namespace kvr::flash

#pragma once

#include <cstdint>
#include <span>

#include "models/flash/device_params.hpp"
#include "sim/interfaces/compute_model.hpp"

namespace kvr::flash {

/// The way a read takes: the device, the host that submits, and the share of mapping lookups that hit.
struct ReadPath {
  DeviceParams device;
  HostCost host;
  double map_hits = 1.0;
  std::int64_t align_bytes = 0;  ///< of the offsets; 0: a block
};

/// Share of lookups that find their mapping page when reads are spread at random over `working_set_bytes`:
/// min(1, coverage / working set). Nothing touched (0 B) is covered.
double map_hit_share(const DeviceParams& device, double working_set_bytes);

ReadPath read_path(DeviceParams device, const HostCost& host, double working_set_bytes);

/// Expected number of stripe borders that a read of `bytes` crosses: (bytes - grid) / stripe, where offsets
/// are multiples of grid, a block or what the alignment and the stripe share.
double stripe_borders(const ReadPath& path, double bytes);

/// S: what one read of `bytes` (one command) adds to the time of a saturated device.
///   die  = hit_time * (1 + stripe_borders) + (1 - map_hits) * miss_time
///   bus  = bytes / (read_bandwidth * thermal_factor())
///   any  = (die^p + bus^p)^(1/p)
///   held = what latency_s() has of the device for one read, host and firmware_time left out
///   wide = 1 / rate of a closed network of one queue (any) and one delay (held - any) with wide_reads in it
///   cpu  = host time of the command / min(threads, hw_queues)
///   S    = max(any, or wide if the command reads more than wide_above, cpu)
/// Several threads on one queue: S * (1 + contention); or, where contention_scope is "command", the larger of
/// S and (1 + contention) * S(block), which is the event-driven device's lock.
double service_s(const ReadPath& path, double bytes);

/// L: one read of `bytes` (one command) on the idle device, from its submission until the host has it.
///   L = latency + (1 - map_hits) * map_latency + growth / thermal_factor()
///       + (command time and wake-up of this host) - (those of the host of the fit)
///   growth = max((bytes - block) / latency_bandwidth, (largest fragment - block) / channel_bandwidth)
/// The second term, ours: a read within one stripe crosses one channel, which bends the growth of small
/// sizes. `latency` was measured with some host and contains that host's share, so the share is exchanged,
/// not added. Never below S: what occupies the device that long cannot be ready sooner.
double latency_s(const ReadPath& path, double bytes);

/// Rate of a closed network of one queue (service `service_s`) and one delay (`delay_s`) with `customers`
/// going round, by mean-value analysis:
///   R(i) = S (1 + Q(i-1)),  X(i) = i / (R(i) + Z),  Q(i) = X(i) R(i)
double closed_network_per_s(double service_s, double delay_s, std::int64_t customers);

/// Requests per second when `queue_depth` reads of `bytes` are always outstanding: mean-value analysis of a
/// closed network of one queue (S) and one delay (L - S), exact for it (Reiser and Lavenberg 1980). Bounds:
/// X <= min(depth / L, 1 / S).
/// Outstanding beyond the device's queue depth waits in the host and gains nothing. Reads longer than
/// max_transfer count as their commands.
double requests_per_s(const ReadPath& path, double bytes, std::int64_t queue_depth);

/// The part of a write's way that overlaps with the work on other writes: host, firmware and link time of the
/// command of `bytes`.
double write_fill_s(const DeviceParams& device, const HostCost& host, double bytes);

/// What one write of `bytes` (one command), whose programming takes `program_s`, adds to the time of a
/// saturated device: the largest of programming, link, host and firmware.
double write_service_s(const DeviceParams& device, const HostCost& host, double bytes, double program_s);

/// Writes per second when `queue_depth` writes of `bytes` are always outstanding and program at
/// `program_bytes_per_s`:  X = min(q / (fill + S), 1 / S), as batches of the same size would settle.
double writes_per_s(const DeviceParams& device, const HostCost& host, double bytes, std::int64_t queue_depth,
                    double program_bytes_per_s);

/// What the time of a batch depends on.
struct ReadBatch {
  std::int64_t commands = 0;
  double bytes = 0.0;
  double service_s = 0.0;  ///< sum of S
  double largest_bytes = 0.0;
};

/// Reads issued together, with m the mean size of a command, N commands and D the queue depth:
///   T = max(L(m) + sum S - S(m) + U,  ceil(N / D) * L(m),  L(largest))
///   U = 0.4 sqrt(2 (min(N, D) - 1) ln(dies) / dies) * min(fit_dies * hit_time, L(m) - S(m)) * die's share of
///   S(m) with fit_read_bandwidth
/// U, ours, is what the fullest die has more than the mean; never more for a part of more dies. The last
/// bound, ours, matters for uneven sizes only: no batch ends before its longest read could alone.
double batch_s(const ReadPath& path, const ReadBatch& batch);

/// The same for requests of `sizes` bytes, each split into commands of at most max_transfer.
double batch_s(const ReadPath& path, std::span<const std::int64_t> sizes);

}  // namespace kvr::flash

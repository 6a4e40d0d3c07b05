#include "models/flash/analytic_model.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.hpp"

namespace kvr::flash {

namespace {

constexpr double kKiB = 1024.0;

std::int64_t divide_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

/// (a^p + b^p)^(1/p), the smooth maximum; a > 0.
double norm(double a, double b, double p) {
  const double larger = std::max(a, b);
  return larger * std::pow(1.0 + std::pow(std::min(a, b) / larger, p), 1.0 / p);
}

double fit_host_s(const DeviceParams& device, double bytes) {
  return device.fit_host_command + device.fit_host_per_kib * bytes / kKiB + device.fit_host_wake;
}

double die_s(const ReadPath& path, double bytes) {
  const DeviceParams& d = path.device;
  return d.hit_time * (1.0 + stripe_borders(path, bytes)) + (1.0 - path.map_hits) * d.miss_time;
}

double bus_s(const ReadPath& path, double bytes) {
  return bytes / (path.device.read_bandwidth * path.device.thermal_factor());
}

/// The largest of the fragments that a read of `bytes` falls into at the borders of stripes. It crosses one
/// with probability stripe_borders(), at a place uniform within it; the larger part is then 3/4 of it on
/// average.
double largest_fragment(const ReadPath& path, double bytes) {
  const auto stripe = static_cast<double>(path.device.stripe);
  const double crosses = std::min(1.0, stripe_borders(path, bytes));
  return std::min(stripe, bytes * (1.0 - crosses / 4.0));
}

/// One read of `bytes` on the idle device as the host of the fit has it.
double fitted_latency_s(const ReadPath& path, double bytes) {
  const DeviceParams& d = path.device;
  const auto block = static_cast<double>(d.block);
  const double grown = std::max((bytes - block) / d.latency_bandwidth,
                                (largest_fragment(path, bytes) - block) / d.channel_bandwidth) /
                       d.thermal_factor();
  return d.latency + (1.0 - path.map_hits) * d.map_latency + grown;
}

/// L before it is bounded by S.
double unbounded_latency_s(const ReadPath& path, double bytes) {
  return fitted_latency_s(path, bytes) + path.host.command_s(bytes) + path.host.wake_s -
         fit_host_s(path.device, bytes);
}

/// What dies and bus take of a saturated device for one read, `wide_reads` of which it serves at once.
double array_s(const ReadPath& path, double bytes) {
  const DeviceParams& d = path.device;
  const double any = norm(die_s(path, bytes), bus_s(path, bytes), d.smoothing);
  if (d.wide_reads == 0 || bytes <= static_cast<double>(d.wide_above)) {
    return any;
  }
  const double held = fitted_latency_s(path, bytes) - fit_host_s(d, bytes) - d.firmware_time;
  return 1.0 / closed_network_per_s(any, std::max(0.0, held - any), d.wide_reads);
}

double cpu_s(const ReadPath& path, double bytes) {
  return path.host.command_s(bytes) / static_cast<double>(std::min(path.host.threads, path.device.hw_queues));
}

/// The part of the time of a one-queue device that dies take, as the p-th power of the norm splits it, with
/// the bus of the fit: a slower one would hide some of the fullest die's excess, and a batch might end
/// sooner.
double die_share(const ReadPath& path, double bytes) {
  const DeviceParams& d = path.device;
  const double die = std::pow(die_s(path, bytes), d.smoothing);
  return die / (die + std::pow(bytes / d.fit_read_bandwidth, d.smoothing));
}

/// How many dies share the reads unevenly: those of the part, but that the excess of the fullest, which has
/// its maximum at three dies, must not grow with their number on either side of the fit's.
std::int64_t uneven_dies(const DeviceParams& d) {
  constexpr std::int64_t kMostUneven = 3;
  const std::int64_t dies = d.channels * d.dies_per_channel;
  if (dies < d.fit_dies) {
    return std::max(dies, kMostUneven);
  }
  const auto excess = [](std::int64_t count) {
    return std::log(static_cast<double>(count)) / static_cast<double>(count);
  };
  return excess(dies) <= excess(d.fit_dies) ? dies : d.fit_dies;
}

/// Chance puts more reads on some dies than on others. Of n reads on M dies the fullest holds about
/// sqrt(2 n ln M / M) more than the mean (Raab and Steger 1998), and the batch ends with it.
double imbalance_s(const ReadPath& path, double commands, double bytes, double latency) {
  // What a die that waits for the rest of the batch has already worked off; fitted to batches of five devices
  // at the event-driven fidelity.
  constexpr double kRemains = 0.4;
  const DeviceParams& d = path.device;
  const auto dies = static_cast<double>(uneven_dies(d));
  const double others = std::min(commands, static_cast<double>(d.queue_depth)) - 1.0;
  const double excess = std::sqrt(2.0 * others * std::log(dies) / dies);
  const double one_die_s =
      std::min(d.hit_time * static_cast<double>(d.fit_dies), latency - service_s(path, bytes));
  return kRemains * excess * one_die_s * die_share(path, bytes);
}

}  // namespace

double map_hit_share(const DeviceParams& device, double working_set_bytes) {
  return working_set_bytes <= device.map_coverage ? 1.0 : device.map_coverage / working_set_bytes;
}

ReadPath read_path(DeviceParams device, const HostCost& host, double working_set_bytes) {
  const double hits = map_hit_share(device, working_set_bytes);
  device.queue_depth = std::min(device.queue_depth, host.most_under_way());
  return {std::move(device), host, hits};
}

double stripe_borders(const ReadPath& path, double bytes) {
  const DeviceParams& d = path.device;
  const std::int64_t grid =
      path.align_bytes == 0 ? d.block : std::max(d.block, std::gcd(path.align_bytes, d.stripe));
  return std::max(0.0, (bytes - static_cast<double>(grid)) / static_cast<double>(d.stripe));
}

double service_s(const ReadPath& path, double bytes) {
  const DeviceParams& d = path.device;
  const double alone = std::max(array_s(path, bytes), cpu_s(path, bytes));
  if (path.host.threads == 1) {
    return alone;
  }
  if (d.contention_scope == "service") {
    return alone * (1.0 + d.contention);
  }
  const auto block = static_cast<double>(d.block);
  const double lock = (1.0 + d.contention) * std::max(array_s(path, block), cpu_s(path, block));
  return d.hw_queues == 1 ? std::max(alone, lock) : alone;
}

double latency_s(const ReadPath& path, double bytes) {
  return std::max(unbounded_latency_s(path, bytes), service_s(path, bytes));
}

double closed_network_per_s(double service_s, double delay_s, std::int64_t customers) {
  double queued = 0.0;
  double rate_per_s = 0.0;
  for (std::int64_t i = 1; i <= customers; ++i) {
    const double response_s = service_s * (1.0 + queued);
    rate_per_s = static_cast<double>(i) / (response_s + delay_s);
    queued = rate_per_s * response_s;
  }
  return rate_per_s;
}

double requests_per_s(const ReadPath& path, double bytes, std::int64_t queue_depth) {
  KVR_CHECK(queue_depth > 0 && bytes > 0.0, "queue depth {}, {} B", queue_depth, bytes);
  const double parts = std::ceil(bytes / static_cast<double>(path.device.max_transfer));
  const double service = service_s(path, bytes / parts);
  const double delay = latency_s(path, bytes / parts) - service;
  const auto outstanding = static_cast<std::int64_t>(parts) * queue_depth;
  const std::int64_t depth = std::min(outstanding, path.device.queue_depth);
  return closed_network_per_s(service, delay, depth) / parts;
}

double write_fill_s(const DeviceParams& device, const HostCost& host, double bytes) {
  return host.command_s(bytes) + host.wake_s + device.firmware_time + device.command_link_time;
}

double write_service_s(const DeviceParams& device, const HostCost& host, double bytes, double program_s) {
  const double cpu_s = host.command_s(bytes) / static_cast<double>(std::min(host.threads, device.hw_queues));
  const double firmware_s = device.firmware_time / static_cast<double>(device.firmware_servers);
  return std::max({program_s, bytes / device.link, cpu_s, firmware_s});
}

double writes_per_s(const DeviceParams& device, const HostCost& host, double bytes, std::int64_t queue_depth,
                    double program_bytes_per_s) {
  KVR_CHECK(queue_depth > 0 && bytes > 0.0, "queue depth {}, {} B", queue_depth, bytes);
  const double parts = std::ceil(bytes / static_cast<double>(device.max_transfer));
  const double part_bytes = bytes / parts;
  const double service = write_service_s(device, host, part_bytes, part_bytes / program_bytes_per_s);
  const auto outstanding = static_cast<std::int64_t>(parts) * queue_depth;
  const auto depth = static_cast<double>(std::min(outstanding, device.queue_depth));
  return std::min(depth / (write_fill_s(device, host, part_bytes) + service), 1.0 / service) / parts;
}

double batch_s(const ReadPath& path, const ReadBatch& batch) {
  if (batch.commands == 0) {
    return 0.0;
  }
  const double mean_bytes = batch.bytes / static_cast<double>(batch.commands);
  const double service = service_s(path, mean_bytes);
  const double latency = std::max(unbounded_latency_s(path, mean_bytes), service);
  const auto rounds = static_cast<double>(divide_up(batch.commands, path.device.queue_depth));
  const double uneven = imbalance_s(path, static_cast<double>(batch.commands), mean_bytes, latency);
  const double total = std::max(latency + batch.service_s - service + uneven, rounds * latency);
  return batch.largest_bytes > mean_bytes ? std::max(total, latency_s(path, batch.largest_bytes)) : total;
}

double batch_s(const ReadPath& path, std::span<const std::int64_t> sizes) {
  ReadBatch batch;
  for (const std::int64_t size : sizes) {
    for (std::int64_t left = size; left > 0; left -= path.device.max_transfer) {
      const auto bytes = static_cast<double>(std::min(left, path.device.max_transfer));
      batch.commands += 1;
      batch.bytes += bytes;
      batch.service_s += service_s(path, bytes);
      batch.largest_bytes = std::max(batch.largest_bytes, bytes);
    }
  }
  return batch_s(path, batch);
}

}  // namespace kvr::flash

#include "tests/models/flash/random_device.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace kvr::test {

using flash::DeviceParams;

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

std::int64_t count_to(Rng& rng, std::uint64_t most) {
  return static_cast<std::int64_t>(1 + rng.below(most));
}

bool chance(Rng& rng, double share) {
  return rng.uniform() < share;
}

void draw_link(DeviceParams& d, Rng& rng) {
  d.queue_depth = count_to(rng, 64);
  d.hw_queues = chance(rng, 0.3) ? count_to(rng, 8) : 1;
  d.duplex = chance(rng, 0.5) ? "half" : "full";
  d.link = between(rng, 90e6, 8e9);
  d.max_transfer = std::int64_t{4096} << (4 + rng.below(6));
  d.command_link_time =
      std::min(between(rng, 1e-8, 3e-6), 0.5 * static_cast<double>(d.max_transfer) / d.link);
  d.firmware_time = between(rng, 0.2e-6, 30e-6);
  d.firmware_servers = count_to(rng, 4);
  d.command_delay = chance(rng, 0.5) ? 0.0 : between(rng, 1e-6, 30e-6);
}

void draw_array(DeviceParams& d, Rng& rng) {
  d.channels = count_to(rng, 8);
  d.dies_per_channel = count_to(rng, 4);
  d.stripe = std::int64_t{4096} << rng.below(7);
  d.page = std::min<std::int64_t>(d.stripe, std::int64_t{4096} << rng.below(3));
  d.read_time = between(rng, 10e-6, 100e-6);
  d.cache_read = chance(rng, 0.5);
  d.map_read_time = d.read_time * between(rng, 0.5, 2.0);
  d.channel_bandwidth = between(rng, 100e6, 2e9);
  d.map_coverage = between(rng, 16e6, 4e9);
  d.mapping = chance(rng, 0.5) ? "lru" : "statistical";
}

void draw_writes(DeviceParams& d, Rng& rng) {
  const auto dies_bytes = static_cast<double>(d.channels * d.dies_per_channel * d.stripe);
  d.slc_program_time = between(rng, 50e-6, 500e-6);
  d.tlc_program_time = d.slc_program_time * between(rng, 2.0, 8.0);
  d.slc_bandwidth = std::min(d.link, dies_bytes / d.slc_program_time) * between(rng, 0.1, 1.0);
  d.tlc_bandwidth = std::min(d.slc_bandwidth, dies_bytes / d.tlc_program_time) * between(rng, 0.2, 1.0);
  d.write_amplification = 1.0 + 2.0 * rng.uniform();
  d.fold_bandwidth = chance(rng, 0.3) ? 0.0 : 0.5 * d.tlc_bandwidth;
  d.fold_delay = chance(rng, 0.3) ? 0.0 : between(rng, 1e-5, 1e-2);
  d.slc_pool = chance(rng, 0.3) ? 0 : count_to(rng, 16'000'000);
  d.write_buffer = chance(rng, 0.2) ? 0 : 4096 * count_to(rng, 512);
  d.erase_block = std::max<std::int64_t>(65'536, d.stripe << rng.below(6));
  d.erase_time = between(rng, 1e-3, 5e-3);
  d.program_suspend_time = chance(rng, 0.3) ? kNever : between(rng, 5e-6, 300e-6);
  d.erase_suspend_time = chance(rng, 0.3) ? kNever : between(rng, 50e-6, 1e-3);
}

void draw_formulas(DeviceParams& d, Rng& rng) {
  d.hit_time = between(rng, 1e-6, 80e-6);
  d.miss_time = d.hit_time * between(rng, 0.5, 1.5);
  d.read_bandwidth = std::min({d.link, static_cast<double>(d.channels) * d.channel_bandwidth,
                               static_cast<double>(d.stripe) / d.hit_time}) *
                     between(rng, 0.02, 1.0);
  d.latency_bandwidth = d.read_bandwidth * between(rng, 0.6, 1.0);
  d.fit_host_command = between(rng, 1e-6, 20e-6);
  d.fit_host_wake = between(rng, 1e-6, 100e-6);
  d.map_latency = d.miss_time * between(rng, 1.0, 4.0);
  d.latency =
      d.fit_host_command + d.fit_host_wake + d.hit_time * between(rng, 2.0, 16.0) + 4096.0 / d.read_bandwidth;
  d.fit_dies = d.channels * d.dies_per_channel;
  d.fit_read_bandwidth = d.read_bandwidth;
  d.smoothing = between(rng, 1.0, 8.0);
  d.contention = d.hw_queues == 1 ? 0.5 * rng.uniform() : 0.0;
  d.contention_window = between(rng, 1e-6, 1e-3);
}

void draw_state(DeviceParams& d, Rng& rng) {
  d.heat = chance(rng, 0.5) ? "hot" : "cold";
  d.hot_bandwidth = between(rng, 0.5, 1.0);
  d.idle_power = between(rng, 1e-3, 1.0);
  d.command_energy = between(rng, 1e-8, 1e-5);
  d.read_energy = between(rng, 1e-12, 1e-9);
  d.map_read_energy = between(rng, 1e-7, 1e-5);
  d.slc_write_energy = between(rng, 1e-11, 1e-9);
  d.tlc_write_energy = between(rng, 1e-11, 1e-9);
}

}  // namespace

double between(Rng& rng, double low, double high) {
  return low * std::pow(high / low, rng.uniform());
}

DeviceParams random_device(Rng& rng) {
  DeviceParams d;
  draw_link(d, rng);
  draw_array(d, rng);
  draw_writes(d, rng);
  draw_formulas(d, rng);
  draw_state(d, rng);
  REQUIRE(check(d) == std::vector<std::string>{});
  return d;
}

DeviceParams random_read_device(Rng& rng) {
  DeviceParams d = random_device(rng);
  d.map_coverage = kNever;
  d.contention = 0.0;
  d.contention_window = 0.0;
  d.fold_bandwidth = 0.0;
  return d;
}

DeviceParams random_writer(Rng& rng) {
  DeviceParams d = random_device(rng);
  const auto stripe = static_cast<double>(d.stripe);
  const auto dies = static_cast<double>(d.channels * d.dies_per_channel);
  const double die_s =
      d.tlc_program_time + d.read_time + d.erase_time * stripe / static_cast<double>(d.erase_block);
  const double f = d.thermal_factor();
  d.tlc_bandwidth = 0.4 * std::min({dies * stripe / die_s, d.link * f,
                                    0.5 * f * static_cast<double>(d.channels) * d.channel_bandwidth,
                                    static_cast<double>(d.max_transfer) / d.firmware_time});
  d.slc_bandwidth = std::max(d.slc_bandwidth, d.tlc_bandwidth);
  d.slc_pool = d.stripe;
  d.write_buffer = 8 * d.channels * d.dies_per_channel * d.stripe + 4 * d.max_transfer;
  return d;
}

HostCost random_host(Rng& rng, std::int64_t threads) {
  return {.per_command_s = between(rng, 0.5e-6, 20e-6),
          .cycles_per_command = 8500.0,
          .clock_hz = between(rng, 1e9, 4e9),
          .per_byte_s = rng.below(2) == 0 ? 0.0 : between(rng, 1e-12, 1e-10),
          .wake_s = between(rng, 1e-6, 100e-6),
          .threads = threads};
}

std::vector<IoRequest> random_batch(Rng& rng, std::size_t count, std::int64_t most_blocks,
                                    std::int64_t range_bytes, std::int64_t threads, double write_share) {
  std::vector<IoRequest> requests(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t blocks = count_to(rng, static_cast<std::uint64_t>(most_blocks));
    const auto places = static_cast<std::uint64_t>(range_bytes / 4096 - blocks + 1);
    requests[i] = {.id = i,
                   .kind = chance(rng, write_share) ? IoKind::write : IoKind::read,
                   .thread = static_cast<std::uint16_t>(i % static_cast<std::size_t>(threads)),
                   .offset_bytes = 4096 * static_cast<std::int64_t>(rng.below(places)),
                   .length_bytes = 4096 * blocks,
                   .submit_s = 0.0};
  }
  return requests;
}

}  // namespace kvr::test

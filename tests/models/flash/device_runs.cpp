#include "tests/models/flash/device_runs.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>

#include "sim/base/registry.hpp"

namespace kvr::test {

std::unique_ptr<FlashDevice> make_device(const std::string& type, const flash::DeviceParams& params,
                                         const HostCost& host, std::uint64_t seed) {
  return Registry<FlashDevice>::instance().create(type, values_of(flash::device_param_table(), params),
                                                  {host, seed});
}

std::vector<IoDone> drain(FlashDevice& device) {
  std::vector<IoDone> done;
  for (double next_s = device.next_event_s(); next_s < std::numeric_limits<double>::infinity();
       next_s = device.next_event_s()) {
    device.advance(next_s, done);
  }
  return done;
}

std::vector<IoDone> run_batch(FlashDevice& device, const std::vector<IoRequest>& requests) {
  device.submit(requests);
  std::vector<IoDone> done = drain(device);
  std::ranges::sort(done, {}, &IoDone::id);
  REQUIRE(done.size() == requests.size());
  for (std::size_t i = 0; i < done.size(); ++i) {
    REQUIRE(done[i].id == i);
  }
  return done;
}

double makespan_s(FlashDevice& device, const std::vector<IoRequest>& requests) {
  device.submit(requests);
  return drain(device).back().done_s;
}

ResourceStats resource(const DeviceStats& stats, const std::string& name) {
  const auto found = std::ranges::find(stats.resources, name, &ResourceStats::name);
  REQUIRE(found != stats.resources.end());
  return *found;
}

flash::DeviceParams plain_device() {
  flash::DeviceParams d;
  d.name = "plain";
  d.link = 0x1p32;
  d.command_link_time = 0.5 * kTick;
  d.page = 4 * kKiB;
  d.firmware_time = 2 * kTick;
  d.command_delay = 5 * kTick;
  d.channels = 1;
  d.dies_per_channel = 1;
  d.read_time = 50 * kTick;
  d.map_read_time = 70 * kTick;
  d.channel_bandwidth = 0x1p30;
  d.map_coverage = std::numeric_limits<double>::infinity();
  d.slc_program_time = 256 * kTick;
  d.tlc_program_time = 1024 * kTick;
  d.slc_bandwidth = 0x1p28;
  d.tlc_bandwidth = 0x1p26;
  d.write_amplification = 1.0;
  d.fold_bandwidth = 0.0;
  d.fold_delay = 1000 * kTick;
  d.erase_block = std::int64_t{1} << 30;
  d.erase_time = 2000 * kTick;
  d.program_suspend_time = std::numeric_limits<double>::infinity();
  d.erase_suspend_time = std::numeric_limits<double>::infinity();
  d.hit_time = 6 * kTick;
  d.miss_time = 1 * kTick;
  d.read_bandwidth = 0x1p30;
  d.latency_bandwidth = 0x1p29;
  d.latency = 100 * kTick;
  d.map_latency = 70 * kTick;
  d.smoothing = 1.0;
  d.contention = 0.0;
  d.fit_host_command = 8 * kTick;
  d.fit_host_wake = 20 * kTick;
  return d;
}

HostCost plain_host() {
  return {.per_command_s = 8 * kTick,
          .cycles_per_command = 0.0,
          .clock_hz = 1.0,
          .per_byte_s = 0.0,
          .wake_s = 20 * kTick,
          .threads = 1};
}

Bench::Bench(const flash::DeviceParams& params, const HostCost& host)
    : device_(make_device("queueing", params, host)) {}

Bench& Bench::read(std::int64_t offset_bytes, std::int64_t bytes, double at_ticks, std::uint16_t thread) {
  return add(IoKind::read, offset_bytes, bytes, at_ticks, thread);
}

Bench& Bench::write(std::int64_t offset_bytes, std::int64_t bytes, double at_ticks, std::uint16_t thread) {
  return add(IoKind::write, offset_bytes, bytes, at_ticks, thread);
}

Bench& Bench::add(IoKind kind, std::int64_t offset_bytes, std::int64_t bytes, double at_ticks,
                  std::uint16_t thread) {
  device_->submit(std::vector<IoRequest>{{next_++, kind, thread, offset_bytes, bytes, at_ticks * kTick}});
  return *this;
}

std::vector<double> Bench::ends() {
  std::vector<double> ticks(next_ - first_);
  for (const IoDone& io : drain(*device_)) {
    ticks.at(io.id - first_) = io.done_s / kTick;
  }
  first_ = next_;
  return ticks;
}

void Bench::pass(double to_ticks) {
  std::vector<IoDone> done;
  device_->advance(to_ticks * kTick, done);
  REQUIRE(done.empty());
}

}  // namespace kvr::test

// The closed formulas against figures worked by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

/// Round numbers: hits 10 us, misses 6 us more, 1 GB/s, 64 KiB stripes, 100 us alone of which the host 12 us.
/// One die, so that none can be fuller than the others.
DeviceParams round_device() {
  DeviceParams device;
  device.channels = 1;
  device.dies_per_channel = 1;
  device.queue_depth = 4;
  device.max_transfer = 128 * 1024;
  device.map_coverage = 1e9;
  device.hit_time = 10e-6;
  device.miss_time = 6e-6;
  device.read_bandwidth = 1e9;
  device.fit_dies = 1;
  device.fit_read_bandwidth = 1e9;
  device.latency_bandwidth = 0.5e9;
  device.latency = 100e-6;
  device.map_latency = 20e-6;
  device.smoothing = 2.0;
  device.contention = 0.25;
  device.fit_host_command = 2e-6;
  device.fit_host_per_kib = 0.0;
  device.fit_host_wake = 10e-6;
  return device;
}

ReadPath round_path() {
  const DeviceParams device = round_device();
  return read_path(device, test::fit_host(device), 0.0);
}

TEST_CASE("mapping lookups hit in the share of the working set that is covered") {
  const DeviceParams device = round_device();
  CHECK(map_hit_share(device, 0.0) == 1.0);
  CHECK(map_hit_share(device, 1e9) == 1.0);
  CHECK(map_hit_share(device, 4e9) == 0.25);
  DeviceParams all = device;
  all.map_coverage = std::numeric_limits<double>::infinity();
  CHECK(map_hit_share(all, 1e15) == 1.0);
}

TEST_CASE("service joins die and bus time by the norm") {
  ReadPath path = round_path();
  // 4 KiB: die 10 us, bus 4.096 us.
  CHECK(service_s(path, 4096) == Approx(std::hypot(10e-6, 4.096e-6)));
  // 36 KiB: half a stripe more, so die 15 us; bus 36.864 us.
  CHECK(service_s(path, 36 * 1024) == Approx(std::hypot(15e-6, 36.864e-6)));
  path.map_hits = 0.5;
  CHECK(service_s(path, 4096) == Approx(std::hypot(13e-6, 4.096e-6)));
  path.device.heat = "hot";
  path.device.hot_bandwidth = 0.5;
  CHECK(service_s(path, 4096) == Approx(std::hypot(13e-6, 8.192e-6)));
}

TEST_CASE("a slow host bounds the service, and threads help only with queues of their own") {
  ReadPath path = round_path();
  path.host.per_command_s = 40e-6;
  CHECK(service_s(path, 4096) == Approx(40e-6));
  path.host.threads = 4;
  CHECK(service_s(path, 4096) == Approx(40e-6 * 1.25));
  path.device.hw_queues = 2;
  path.device.contention = 0.0;
  CHECK(service_s(path, 4096) == Approx(20e-6));
}

TEST_CASE("latency contains the host of the fit once and exchanges it for another") {
  ReadPath path = round_path();
  CHECK(latency_s(path, 4096) == Approx(100e-6));
  CHECK(latency_s(path, 4096 + 50'000) == Approx(200e-6));
  path.map_hits = 0.0;
  CHECK(latency_s(path, 4096) == Approx(120e-6));
  // 1 us + 8000 cycles at 2 GHz = 5 us in place of 2, 30 us of wake-up in place of 10.
  path.host = {1e-6, 8000.0, 2e9, 0.0, 30e-6, 1};
  CHECK(latency_s(path, 4096) == Approx(143e-6));
  path.host.per_byte_s = 1e-9;
  CHECK(latency_s(path, 4096) == Approx(147.096e-6));
}

TEST_CASE("latency is never below service") {
  ReadPath path = round_path();
  path.host.per_command_s = 1e-3;
  path.host.wake_s = 0.0;
  CHECK(latency_s(path, 4096) >= service_s(path, 4096));
  path.host.per_command_s = 0.0;
  path.device.latency = 12e-6;
  CHECK(latency_s(path, 4096) == service_s(path, 4096));
}

TEST_CASE("one outstanding read gives the reciprocal of the latency") {
  const ReadPath path = round_path();
  for (const double bytes : {4096.0, 24576.0, 131072.0}) {
    CHECK(requests_per_s(path, bytes, 1) == Approx(1.0 / latency_s(path, bytes)));
  }
}

TEST_CASE("two outstanding reads follow the recursion worked by hand") {
  ReadPath path = round_path();
  const double s = service_s(path, 4096);
  const double l = latency_s(path, 4096);
  const double queued = s / l;  // Q(1) = X(1) R(1) = (1 / L) S
  CHECK(requests_per_s(path, 4096, 2) == Approx(2.0 / (s * (1.0 + queued) + l - s)));
}

TEST_CASE("throughput saturates at the reciprocal of the service and at the queue depth") {
  ReadPath path = round_path();
  CHECK(requests_per_s(path, 4096, 64) == requests_per_s(path, 4096, 4));
  path.device.queue_depth = 1024;
  CHECK(requests_per_s(path, 4096, 1024) == Approx(1.0 / service_s(path, 4096)).epsilon(1e-6));
}

TEST_CASE("a read longer than max_transfer counts as its commands") {
  const ReadPath path = round_path();
  CHECK(requests_per_s(path, 256 * 1024, 1) == Approx(requests_per_s(path, 128 * 1024, 2) / 2.0));
  const std::vector<std::int64_t> one = {256 * 1024};
  const std::vector<std::int64_t> two = {128 * 1024, 128 * 1024};
  CHECK(batch_s(path, one) == batch_s(path, two));
}

TEST_CASE("a batch of one takes the latency") {
  const ReadPath path = round_path();
  for (const std::int64_t bytes : {4096, 8192, 24576, 131072}) {
    CHECK(batch_s(path, std::vector{bytes}) == Approx(latency_s(path, static_cast<double>(bytes))));
  }
  CHECK(batch_s(path, std::vector<std::int64_t>{}) == 0.0);
}

TEST_CASE("a batch adds one service time for each further read, or waits for slots") {
  const ReadPath path = round_path();
  const double s = service_s(path, 4096);
  CHECK(batch_s(path, std::vector<std::int64_t>(3, 4096)) == Approx(100e-6 + 2.0 * s));
  // Nine reads need three rounds of four slots: 300 us, more than the 186 us of the pipeline.
  CHECK(batch_s(path, std::vector<std::int64_t>(9, 4096)) == Approx(300e-6));
  const std::vector<std::int64_t> uneven = {4096, 12288};
  CHECK(batch_s(path, uneven) ==
        Approx(latency_s(path, 8192) + s + service_s(path, 12288) - service_s(path, 8192)));
}

TEST_CASE("a batch ends with the fullest of its dies") {
  ReadPath path = round_path();
  path.device.dies_per_channel = 4;
  path.device.fit_dies = 4;
  const double s = service_s(path, 4096);
  // Three reads: sqrt(2 * 2 * ln 4 / 4) = sqrt(ln 4) reads more than the mean, of 4 * 10 us each; 0.4 of it
  // remains, in the die's share 10^2 / (10^2 + 4.096^2) of the service.
  const double share = 100.0 / (100.0 + 4.096 * 4.096);
  CHECK(batch_s(path, std::vector<std::int64_t>(3, 4096)) ==
        Approx(100e-6 + 2.0 * s + 0.4 * std::sqrt(std::log(4.0)) * 40e-6 * share));
  // More dies than the fit's share the reads more evenly; a slower bus hides none of the excess.
  path.device.dies_per_channel = 8;
  CHECK(batch_s(path, std::vector<std::int64_t>(3, 4096)) ==
        Approx(100e-6 + 2.0 * s + 0.4 * std::sqrt(std::log(8.0) / 2.0) * 40e-6 * share));
  path.device.read_bandwidth = 0.5e9;
  const double slow_s = service_s(path, 4096);
  CHECK(batch_s(path, std::vector<std::int64_t>(3, 4096)) ==
        Approx(100e-6 + 2.0 * slow_s + 0.4 * std::sqrt(std::log(8.0) / 2.0) * 40e-6 * share));
}

TEST_CASE("several threads lengthen every command by a share, or bound the rate of commands") {
  ReadPath path = round_path();
  path.host.threads = 2;
  const double block = std::hypot(10e-6, 4.096e-6);
  CHECK(service_s(path, 4096) == Approx(1.25 * block));
  const double large = service_s(path, 65536) / 1.25;
  path.device.contention_scope = "command";
  CHECK(service_s(path, 4096) == Approx(1.25 * block));
  CHECK(service_s(path, 65536) == Approx(large));
}

TEST_CASE("wide reads take what few of them at once take of the device") {
  ReadPath path = round_path();
  path.device.firmware_time = 0.0;
  path.device.wide_above = 4096;
  const double any = service_s(path, 8192);
  const double held = latency_s(path, 8192) - 12e-6;
  path.device.wide_reads = 1;
  CHECK(service_s(path, 8192) == Approx(held));
  path.device.wide_reads = 2;
  // The second finds any / held of the first at the server.
  CHECK(service_s(path, 8192) == Approx((any * (1.0 + any / held) + held - any) / 2.0));
  path.device.wide_reads = 1000;
  CHECK(service_s(path, 8192) == Approx(any));
  CHECK(service_s(path, 4096) == Approx(std::hypot(10e-6, 4.096e-6)));
}

TEST_CASE("one read grows with its size by the slower of fit and channel") {
  ReadPath path = round_path();
  path.device.channel_bandwidth = 0.25e9;
  // 8 KiB cross a border of 64 KiB stripes with probability 1/16; the larger part is then 6 KiB, so 8064 B.
  CHECK(latency_s(path, 8192) == Approx(100e-6 + (8064.0 - 4096.0) / 0.25e9));
  // At most a stripe goes through one channel: 61,440 B / 0.25 GB/s; the fit gives 126,976 B / 0.5 GB/s.
  CHECK(latency_s(path, 131072) == Approx(100e-6 + 126976.0 / 0.5e9));
}

TEST_CASE("a batch never ends before its longest read could alone") {
  ReadPath path = round_path();
  path.device.latency_bandwidth = 0.1e9;
  const std::vector<std::int64_t> uneven = {131072, 4096};
  CHECK(batch_s(path, uneven) == Approx(latency_s(path, 131072)));
}

}  // namespace
}  // namespace kvr::flash

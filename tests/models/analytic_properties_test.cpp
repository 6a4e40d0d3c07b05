// Properties of the closed formulas over random devices and hosts.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "sim/rng.hpp"

namespace kvr::flash {
namespace {

constexpr int kSets = 300;
constexpr double kSlack = 1.0 + 1e-12;

double between(Rng& rng, double low, double high) {
  return low * std::pow(high / low, rng.uniform());
}

/// A sound device whose unloaded latency contains all that one read goes through.
DeviceParams random_device(Rng& rng) {
  DeviceParams d;
  d.queue_depth = static_cast<std::int64_t>(1 + rng.below(64));
  d.max_transfer = std::int64_t{4096} << (4 + rng.below(6));
  d.stripe = std::int64_t{4096} << rng.below(6);
  d.page = std::min(d.page, d.stripe);
  d.slc_program_time = static_cast<double>(d.stripe) / 400e6;  // eight dies program at 3.2 GB/s
  d.tlc_program_time = static_cast<double>(d.stripe) / 100e6;
  d.map_coverage = between(rng, 64e6, 4e9);
  d.hit_time = between(rng, 1e-6, 80e-6);
  d.miss_time = d.hit_time * between(rng, 0.5, 1.5);
  d.read_bandwidth = std::min(4e9, static_cast<double>(d.stripe) / d.hit_time) * between(rng, 0.02, 1.0);
  d.latency_bandwidth = d.read_bandwidth * between(rng, 0.6, 1.0);
  d.fit_host_command = between(rng, 1e-6, 20e-6);
  d.fit_host_wake = between(rng, 1e-6, 100e-6);
  d.map_latency = d.miss_time * between(rng, 1.0, 4.0);
  d.latency =
      d.fit_host_command + d.fit_host_wake + d.hit_time * between(rng, 2.0, 16.0) + 4096.0 / d.read_bandwidth;
  d.smoothing = between(rng, 1.0, 8.0);
  d.contention = 0.5 * rng.uniform();
  d.heat = "hot";
  d.hot_bandwidth = between(rng, 0.5, 1.0);
  return d;
}

ReadPath random_path(Rng& rng) {
  HostCost host;
  host.per_command_s = between(rng, 0.5e-6, 20e-6);
  host.cycles_per_command = 8500.0;
  host.clock_hz = between(rng, 1e9, 4e9);
  host.per_byte_s = rng.below(2) == 0 ? 0.0 : between(rng, 1e-12, 1e-10);
  host.wake_s = between(rng, 1e-6, 100e-6);
  host.threads = static_cast<std::int64_t>(1 + rng.below(8));
  const double working_set = between(rng, 16e6, 64e9);
  const DeviceParams device = random_device(rng);
  REQUIRE(check(device) == std::vector<std::string>{});
  return read_path(device, host, working_set);
}

template <class Property>
void for_random_paths(std::uint64_t first_seed, Property property) {
  for (std::uint64_t seed = first_seed; seed < first_seed + kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/analytic_properties");
    const ReadPath path = random_path(rng);
    property(rng, path);
  }
}

std::vector<std::int64_t> random_sizes(Rng& rng, std::uint64_t most) {
  std::vector<std::int64_t> sizes(2 * (1 + rng.below(most)));
  for (std::int64_t& size : sizes) {
    size = static_cast<std::int64_t>(4096 * (1 + rng.below(64)));
  }
  return sizes;
}

TEST_CASE("throughput grows with queue depth, stays flat beyond the device's, and keeps its bounds") {
  for_random_paths(0, [](Rng& rng, const ReadPath& path) {
    const auto bytes = 4096.0 * static_cast<double>(1 + rng.below(16));
    double before = 0.0;
    for (std::int64_t depth = 1; depth <= 80; ++depth) {
      const double rate = requests_per_s(path, bytes, depth);
      REQUIRE(rate * kSlack >= before);
      REQUIRE(rate <= kSlack / service_s(path, bytes));
      REQUIRE(rate <= kSlack * static_cast<double>(depth) / latency_s(path, bytes));
      before = rate;
    }
    REQUIRE(before == requests_per_s(path, bytes, path.device.queue_depth));
  });
}

TEST_CASE("latency and service do not shrink with size, nor with the working set") {
  for_random_paths(1000, [](Rng&, ReadPath path) {
    double latency = 0.0;
    double service = 0.0;
    const std::int64_t most = path.device.max_transfer;
    for (std::int64_t bytes = 4096; bytes <= most; bytes += 4096) {
      const auto size = static_cast<double>(bytes);
      REQUIRE(latency_s(path, size) >= latency);
      REQUIRE(service_s(path, size) >= service);
      latency = latency_s(path, size);
      service = service_s(path, size);
    }
    REQUIRE(batch_s(path, std::vector{most + 4096}) * kSlack >= latency);
    REQUIRE(batch_s(path, std::vector{2 * most}) * kSlack >= batch_s(path, std::vector{most + 4096}));
    path.map_hits = 1.0;
    const ReadPath near = path;
    path.map_hits = 0.3;
    REQUIRE(latency_s(path, 4096) >= latency_s(near, 4096));
    REQUIRE(requests_per_s(path, 4096, 8) <= requests_per_s(near, 4096, 8) * kSlack);
  });
}

TEST_CASE("bandwidth stays below the part's") {
  for_random_paths(2000, [](Rng& rng, const ReadPath& path) {
    const double bytes = 4096.0 * static_cast<double>(1 + rng.below(512));
    const double limit = path.device.read_bandwidth * path.device.thermal_factor();
    REQUIRE(requests_per_s(path, bytes, 64) * bytes <= limit * kSlack);
  });
}

TEST_CASE("two halves one after the other are never faster than the batch") {
  for_random_paths(3000, [](Rng& rng, const ReadPath& path) {
    for (int i = 0; i < 20; ++i) {
      const auto sizes = random_sizes(rng, 100);
      const std::span<const std::int64_t> all(sizes);
      const auto half = all.size() / 2;
      REQUIRE(batch_s(path, all.first(half)) + batch_s(path, all.subspan(half)) >=
              batch_s(path, all) / kSlack);
    }
  });
}

TEST_CASE("another read of the same size never shortens a batch") {
  for_random_paths(4000, [](Rng& rng, const ReadPath& path) {
    const auto bytes = static_cast<std::int64_t>(4096 * (1 + rng.below(64)));
    double before = 0.0;
    for (std::size_t count = 1; count <= 100; ++count) {
      const double time_s = batch_s(path, std::vector<std::int64_t>(count, bytes));
      REQUIRE(time_s * kSlack >= before);
      REQUIRE(time_s >=
              latency_s(path, static_cast<double>(std::min(bytes, path.device.max_transfer))) / kSlack);
      before = time_s;
    }
  });
}

TEST_CASE("all times scale together") {
  for_random_paths(5000, [](Rng& rng, const ReadPath& path) {
    ReadPath slow = path;
    DeviceParams& d = slow.device;
    for (double* time_s : {&d.hit_time, &d.miss_time, &d.latency, &d.map_latency, &d.fit_host_command,
                           &d.fit_host_per_kib, &d.fit_host_wake, &slow.host.per_command_s,
                           &slow.host.cycles_per_command, &slow.host.per_byte_s, &slow.host.wake_s}) {
      *time_s *= 4.0;
    }
    d.read_bandwidth /= 4.0;
    d.latency_bandwidth /= 4.0;
    d.channel_bandwidth /= 4.0;
    const auto sizes = random_sizes(rng, 50);
    REQUIRE(batch_s(slow, sizes) == doctest::Approx(4.0 * batch_s(path, sizes)));
    REQUIRE(requests_per_s(slow, 4096, 9) == doctest::Approx(requests_per_s(path, 4096, 9) / 4.0));
  });
}

}  // namespace
}  // namespace kvr::flash

// Times have no unit of their own: where every part is k times as slow, everything takes k times as long.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "models/flash/closed_loop.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr std::int64_t kRange = 1'000'000'000;

/// All times k times as long and all bandwidths a k-th. `k` is a power of two, so that no digit is lost.
DeviceParams slowed(DeviceParams d, double k) {
  for (double* time_s : {&d.command_link_time,  &d.firmware_time,
                         &d.command_delay,      &d.read_time,
                         &d.map_read_time,      &d.fold_delay,
                         &d.slc_program_time,   &d.tlc_program_time,
                         &d.erase_time,         &d.program_suspend_time,
                         &d.erase_suspend_time, &d.hit_time,
                         &d.miss_time,          &d.latency,
                         &d.map_latency,        &d.contention_window,
                         &d.queue_round,        &d.fit_host_command,
                         &d.fit_host_per_kib,   &d.fit_host_wake}) {
    *time_s *= k;
  }
  for (double* bandwidth :
       {&d.link, &d.channel_bandwidth, &d.slc_bandwidth, &d.tlc_bandwidth, &d.fold_bandwidth,
        &d.read_bandwidth, &d.fit_read_bandwidth, &d.latency_bandwidth}) {
    *bandwidth /= k;
  }
  return d;
}

HostCost slowed(HostCost host, double k) {
  for (double* time_s : {&host.per_command_s, &host.cycles_per_command, &host.per_byte_s, &host.wake_s}) {
    *time_s *= k;
  }
  return host;
}

struct Setup {
  DeviceParams params;
  HostCost host;
  double k;
};

Setup random_setup(Rng& rng, std::int64_t threads) {
  DeviceParams params = test::random_device(rng);
  params.read_time_spread = rng.uniform();
  const HostCost host = test::random_host(rng, threads);
  return {params, host, std::vector<double>{0.25, 0.5, 2.0, 4.0}[rng.below(4)]};
}

TEST_CASE("scaling (both): all times of a batch grow with those of all parts") {
  test::for_both_models("devices/scaled", [](const std::string& type, Rng& rng, std::uint64_t seed) {
    const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
    const auto [params, host, k] = random_setup(rng, threads);
    const auto batch = test::random_batch(rng, 200, 64, kRange, threads, 0.3);
    const auto one = test::make_device(type, params, host, seed);
    const auto other = test::make_device(type, slowed(params, k), slowed(host, k), seed);
    one->set_working_set(kRange);
    other->set_working_set(kRange);
    const auto fast = test::run_batch(*one, batch);
    const auto slow = test::run_batch(*other, batch);
    // Events are only added and compared; the powers in the formulas round anew.
    const double within = type == "queueing" ? 0.0 : 1e-12;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      CAPTURE(i);
      REQUIRE(std::abs(slow[i].start_s - k * fast[i].start_s) <= within * slow[i].start_s);
      REQUIRE(std::abs(slow[i].device_s - k * fast[i].device_s) <= within * slow[i].device_s);
      REQUIRE(std::abs(slow[i].done_s - k * fast[i].done_s) <= within * slow[i].done_s);
    }
  });
}

TEST_CASE(
    "scaling (queueing): bandwidths doubled and times halved double the throughput of a constant load") {
  test::for_random_sets("queueing/doubled", [](Rng& rng, std::uint64_t seed) {
    const Setup setup = random_setup(rng, 1);
    ClosedLoop load;
    load.bytes = 4096 * static_cast<std::int64_t>(1 + rng.below(16));
    load.depth = static_cast<std::int64_t>(1 + rng.below(64));
    load.range_bytes = kRange;
    const auto result = [&](double k) {
      const auto device = test::make_device("queueing", slowed(setup.params, k), slowed(setup.host, k), seed);
      return run_closed_loop(*device, load, 100, 500);
    };
    const LoadResult slow = result(1.0);
    const LoadResult fast = result(0.5);
    REQUIRE(fast.requests_per_s == 2.0 * slow.requests_per_s);
    REQUIRE(fast.latency_s == Approx(0.5 * slow.latency_s).epsilon(1e-12));
  });
}

TEST_CASE(
    "scaling (analytic): bandwidths doubled and times halved double the throughput of a constant load") {
  test::for_random_sets("analytic/doubled", [](Rng& rng, std::uint64_t) {
    const auto [params, host, k] = random_setup(rng, static_cast<std::int64_t>(1 + rng.below(8)));
    const double range = test::between(rng, 16e6, 64e9);
    const double bytes = 4096.0 * static_cast<double>(1 + rng.below(64));
    const auto depth = static_cast<std::int64_t>(1 + rng.below(64));
    const double slow = requests_per_s(read_path(params, host, range), bytes, depth);
    const double fast =
        requests_per_s(read_path(slowed(params, 0.5), slowed(host, 0.5), range), bytes, depth);
    REQUIRE(fast == Approx(2.0 * slow).epsilon(1e-12));
  });
}

}  // namespace
}  // namespace kvr::flash

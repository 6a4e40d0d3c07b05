// How throughput and latency of the device `queueing` follow load, size, range and the speed of its parts,
// over random devices.
//
// A closed loop keeps q requests outstanding. Over n completions its throughput is known to q / n: that many
// requests may have been begun before or ended after the window. The n-th request goes to the same place in
// every loop of a set, and the mapping is a cache, which draws nothing, so no other noise comes in where two
// loops are compared.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

constexpr std::int64_t kRange = 1'000'000'000;

struct Setup {
  DeviceParams params;
  HostCost host;
  std::uint64_t seed;
  std::int64_t bytes;
};

Setup random_setup(Rng& rng, std::uint64_t seed, std::int64_t threads = 1) {
  DeviceParams params = test::random_device(rng);
  params.mapping = "lru";
  return {params, test::random_host(rng, threads), seed, 4096 * static_cast<std::int64_t>(1 + rng.below(16))};
}

/// Requests until the load is steady and the mapping pages that stay in the cache have been read; the same at
/// every depth, so that windows of the same requests are compared.
constexpr std::int64_t kWarmUp = 2000;

LoadResult run_loop(FlashDevice& device, const Setup& setup, std::int64_t depth, std::int64_t requests,
                    std::int64_t warm_up = kWarmUp) {
  ClosedLoop load;
  load.bytes = setup.bytes;
  load.depth = depth;
  load.threads = setup.host.threads;
  load.range_bytes = kRange;
  load.seed = setup.seed;
  return run_closed_loop(device, load, warm_up, requests);
}

LoadResult run_loop(const Setup& setup, std::int64_t depth, std::int64_t requests) {
  const auto device = test::make_device("queueing", setup.params, setup.host, setup.seed);
  return run_loop(*device, setup, depth, requests);
}

TEST_CASE("monotonicity (queueing): throughput and latency grow with the queue depth") {
  // Where nearly every lookup of a device with a single die misses, deeper queues bring mapping pages and
  // data to its registers in bunches instead of in turn, and both wait more for the channel: throughput fell
  // in 2 of 2000 random sets, by 2.5 % at most. Latency never did, nor throughput with the mapping at hand.
  for (const bool at_hand : {true, false}) {
    CAPTURE(at_hand);
    test::for_random_sets("queueing/depth", [at_hand](Rng& rng, std::uint64_t seed) {
      Setup setup = random_setup(rng, seed);
      if (at_hand) {
        setup.params.map_coverage = std::numeric_limits<double>::infinity();
      }
      constexpr std::int64_t kRequests = 2000;
      LoadResult before = run_loop(setup, 1, kRequests);
      for (std::int64_t depth = 4; depth <= 64; depth *= 4) {
        const LoadResult after = run_loop(setup, depth, kRequests);
        const double edge = 1.25 * static_cast<double>(depth) / kRequests;  // of both windows
        const double bunches = at_hand ? 0.0 : 0.05;
        REQUIRE(after.requests_per_s >= before.requests_per_s * (1.0 - edge - bunches));
        REQUIRE(after.latency_s >= before.latency_s * (1.0 - edge));
        before = after;
      }
    });
  }
}

TEST_CASE("saturation (queueing): with all slots always taken throughput stays the same, latency is linear") {
  // Requests beyond the slots count as outstanding while the host works on them and until the thread wakes,
  // so throughput still grows a little just beyond the queue depth; with 64 more than four times as many it
  // does not. 2 % are asked for.
  test::for_random_sets("queueing/flat", [](Rng& rng, std::uint64_t seed) {
    Setup setup = random_setup(rng, seed);
    setup.params.queue_depth = static_cast<std::int64_t>(1 + rng.below(16));
    setup.params.hw_queues = 1;
    const std::int64_t many = 4 * setup.params.queue_depth + 64;
    const LoadResult once = run_loop(setup, many, 4000);
    const LoadResult twice = run_loop(setup, 2 * many, 4000);
    REQUIRE(std::abs(twice.requests_per_s / once.requests_per_s - 1.0) <= 0.02);
    // Little's law makes latency q / X; both windows add their edges.
    REQUIRE(std::abs(twice.latency_s / (2.0 * once.latency_s) - 1.0) <=
            0.02 + 3.0 * static_cast<double>(many) / 4000);
  });
}

TEST_CASE("Little's law (queueing): outstanding requests are throughput times latency") {
  // Little's law, with both sides of the window off by one of 300 rounds of requests at most.
  test::for_random_sets("queueing/little", [](Rng& rng, std::uint64_t seed) {
    const Setup setup = random_setup(rng, seed, static_cast<std::int64_t>(1 + rng.below(4)));
    const auto depth = static_cast<std::int64_t>(1 + rng.below(8));
    const auto device = test::make_device("queueing", setup.params, setup.host, seed);
    const std::int64_t outstanding = depth * setup.host.threads;
    const LoadResult result = run_loop(*device, setup, depth, 300 * outstanding, 100 * outstanding);
    REQUIRE(std::abs(result.requests_per_s * result.latency_s / static_cast<double>(outstanding) - 1.0) <=
            0.01);
    // Over the whole run it is an identity, though measured in two ways.
    const DeviceStats stats = device->stats();
    REQUIRE(stats.outstanding_s == doctest::Approx(stats.response_s).epsilon(1e-9));
  });
}

TEST_CASE("bounds (queueing): throughput keeps below what link, channels, firmware and dies can do") {
  test::for_random_sets("queueing/bounds", [](Rng& rng, std::uint64_t seed) {
    const Setup setup = random_setup(rng, seed, static_cast<std::int64_t>(1 + rng.below(4)));
    const DeviceParams& d = setup.params;
    constexpr std::int64_t kRequests = 2000;
    const auto depth = static_cast<std::int64_t>(1 + rng.below(64));
    const LoadResult result = run_loop(setup, depth, kRequests);
    const double alone_s = run_loop(setup, 1, 200).latency_s;
    const auto outstanding = static_cast<double>(depth * setup.host.threads);
    const double edge = 1.0 + outstanding / kRequests;
    const double f = d.thermal_factor();
    const auto channels = static_cast<double>(d.channels);
    const auto dies = static_cast<double>(d.channels * d.dies_per_channel);
    REQUIRE(result.bytes_per_s <= edge * d.link * f);
    REQUIRE(result.bytes_per_s <= edge * channels * d.channel_bandwidth * f);
    REQUIRE(result.requests_per_s <= edge * static_cast<double>(d.firmware_servers) / d.firmware_time);
    REQUIRE(result.requests_per_s <= edge * dies / d.read_time);
    REQUIRE(result.requests_per_s <= edge * static_cast<double>(setup.host.threads) /
                                         setup.host.command_s(static_cast<double>(setup.bytes)));
    // The least latency is that of a hit within a stripe, so the mean of the device alone is no bound; ours
    // is.
    const double least_s =
        setup.host.command_s(0.0) + d.firmware_time + d.command_delay + d.read_time + setup.host.wake_s;
    REQUIRE(result.requests_per_s <= edge * outstanding / least_s);
    REQUIRE(alone_s >= least_s);
  });
}

TEST_CASE("monotonicity (queueing): a longer read never ends sooner, but for a command's link time") {
  // That passes while a read of more than 16 KiB waits for its channel, and after a shorter one has left it.
  test::for_random_sets("queueing/size", [](Rng& rng, std::uint64_t seed) {
    const Setup setup = random_setup(rng, seed);
    const auto offset = 4096 * static_cast<std::int64_t>(rng.below(1000));
    double before = 0.0;
    for (std::int64_t blocks = 1; blocks <= 300; blocks += 1 + blocks / 8) {
      const auto device = test::make_device("queueing", setup.params, setup.host, seed);
      const double end_s = test::makespan_s(*device, {{0, IoKind::read, 0, offset, 4096 * blocks, 0.0}});
      REQUIRE(end_s >= (before - setup.params.command_link_time) * (1.0 - 1e-12));
      before = end_s;
    }
  });
}

/// Time of a batch of reads on `params`; its misses are those of the same draws.
double batch_time_s(const DeviceParams& params, const HostCost& host, std::uint64_t seed,
                    const std::vector<IoRequest>& batch, std::int64_t working_set_bytes) {
  const auto device = test::make_device("queueing", params, host, seed);
  device->set_working_set(working_set_bytes);
  return test::makespan_s(*device, batch);
}

TEST_CASE("monotonicity (queueing): slower parts, more misses and wider ranges never make a batch faster") {
  // With slots for all of them; with fewer, completions decide which reads meet. Even so other fragments may
  // come first at channels and link, and another read may be the last: a batch may win the time of a read by
  // that (Graham's anomaly), and does so in some of the sets; 1.24 times it in the worst of 3000.
  test::for_random_sets("queueing/slower", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_device(rng);
    params.queue_depth = 4096;
    params.heat = "hot";
    const HostCost host = test::random_host(rng, 1);
    const auto batch = test::random_batch(rng, 400, 16, kRange, 1);
    const double base_s = batch_time_s(params, host, seed, batch, kRange);
    const std::vector<IoRequest> longest = {{0, IoKind::read, 0, 0, 16 * 4096, 0.0}};
    const auto slower = [&](const std::string& what, double DeviceParams::*part, double factor) {
      CAPTURE(what);
      DeviceParams slow = params;
      slow.*part *= factor;
      const double read_s = batch_time_s(slow, host, seed, longest, kRange);
      REQUIRE(batch_time_s(slow, host, seed, batch, kRange) >= base_s - 1.5 * read_s);
    };
    slower("read_time", &DeviceParams::read_time, 1.3);
    slower("firmware_time", &DeviceParams::firmware_time, 1.3);
    slower("map_read_time", &DeviceParams::map_read_time, 1.3);
    slower("hot_bandwidth", &DeviceParams::hot_bandwidth, 0.8);
    slower("command_delay", &DeviceParams::command_delay, 1.3);
    slower("map_coverage", &DeviceParams::map_coverage, 0.7);
    const double read_s = batch_time_s(params, host, seed, longest, kRange);
    REQUIRE(batch_time_s(params, host, seed, batch, 2 * kRange) >= base_s - 1.5 * read_s);
  });
}

}  // namespace
}  // namespace kvr::flash

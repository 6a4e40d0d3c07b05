// Where the device `queueing` must come down to a single formula, over random devices.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

std::vector<IoRequest> equal_reads(std::size_t count) {
  std::vector<IoRequest> reads;
  for (std::uint64_t id = 0; id < count; ++id) {
    reads.push_back({id, IoKind::read, 0, static_cast<std::int64_t>(id) * 8192, 4096, 0.0});
  }
  return reads;
}

TEST_CASE("limits (queueing): with one slot, reads take their latencies one after another") {
  test::for_random_sets("queueing/one slot", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_read_device(rng);
    params.queue_depth = 1;
    params.hw_queues = 1;
    const HostCost host = test::random_host(rng, 1);
    const auto time_s = [&](std::size_t count) {
      return test::makespan_s(*test::make_device("queueing", params, host, seed), equal_reads(count));
    };
    // The thread that asked runs again once, after the last.
    REQUIRE(time_s(50) == Approx(50.0 * (time_s(1) - host.wake_s) + host.wake_s).epsilon(1e-9));
    const auto device = test::make_device("queueing", params, host, seed);
    ClosedLoop load;
    load.seed = seed;
    const LoadResult result = run_closed_loop(*device, load, 10, 100);
    REQUIRE(result.requests_per_s == Approx(1.0 / time_s(1)).epsilon(1e-9));
  });
}

TEST_CASE("limits (queueing): without limits of bandwidth and host, only firmware and die are left") {
  test::for_random_sets("queueing/wide", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_read_device(rng);
    params.queue_depth = 4096;
    params.link = 1e30;
    params.channel_bandwidth = 1e30;
    params.command_link_time = 0.0;
    params.channels = 1;
    params.dies_per_channel = 1;
    params.slc_bandwidth = 0.9 * static_cast<double>(params.stripe) / params.slc_program_time;
    params.tlc_bandwidth = 0.9 * static_cast<double>(params.stripe) / params.tlc_program_time;
    params.firmware_servers = 1;
    const HostCost no_host = {.per_command_s = 0.0, .cycles_per_command = 0.0, .wake_s = 0.0, .threads = 1};
    const double end_s =
        test::makespan_s(*test::make_device("queueing", params, no_host, seed), equal_reads(100));
    const double slowest_s = std::max(params.firmware_time, params.read_time);
    REQUIRE(end_s == Approx(params.command_delay + params.firmware_time + params.read_time + 99.0 * slowest_s)
                         .epsilon(1e-9));
  });
}

TEST_CASE("write state (queueing): with a full pool, writes run at tlc_bandwidth over write_amplification") {
  test::for_random_sets("queueing/writes", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_writer(rng);
    const HostCost host = {.per_command_s = 1e-7, .cycles_per_command = 0.0, .wake_s = 1e-7, .threads = 1};
    const auto device = test::make_device("queueing", params, host, seed);
    ClosedLoop load;
    load.kind = IoKind::write;
    load.bytes = params.max_transfer;
    load.depth = 4;
    load.sequential = true;
    // The buffer first takes what it holds; then every write waits for room. Room comes by stripes, so both
    // ends of the window are off by a stripe and a write.
    const auto filled =
        static_cast<std::int64_t>(params.write_buffer / load.bytes + params.stripe / load.bytes);
    const std::int64_t writes = 100 * (1 + params.stripe / load.bytes);
    const LoadResult result = run_closed_loop(*device, load, 2 * filled + 16, writes);
    REQUIRE(result.bytes_per_s == Approx(params.tlc_bandwidth / params.write_amplification).epsilon(0.04));
  });
}

}  // namespace
}  // namespace kvr::flash

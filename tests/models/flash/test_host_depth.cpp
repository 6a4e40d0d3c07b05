// Threads that wait for what they have under way (HostCost::depth), over random devices.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

double time_s(const std::string& type, const DeviceParams& params, const HostCost& host, std::uint64_t seed,
              std::uint64_t count) {
  std::vector<IoRequest> reads;
  for (std::uint64_t id = 0; id < count; ++id) {
    reads.push_back({id, IoKind::read, 0, static_cast<std::int64_t>(id) * 8192, 4096, 0.0});
  }
  return test::makespan_s(*test::make_device(type, params, host, seed), reads);
}

TEST_CASE("host depth: with blocking calls a batch takes as many latencies as it has reads") {
  test::for_random_sets("host depth/blocking", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_read_device(rng);
    HostCost host = test::random_host(rng, 1);
    const double alone_s = time_s("queueing", params, host, seed, 1);
    const double formula_s = time_s("analytic", params, host, seed, 1);
    host.depth = 1;
    REQUIRE(time_s("queueing", params, host, seed, 50) == Approx(50.0 * alone_s).epsilon(1e-9));
    REQUIRE(time_s("analytic", params, host, seed, 50) == Approx(50.0 * formula_s).epsilon(1e-9));
  });
}

TEST_CASE("host depth: a batch that keeps within the depth is not slowed by the formulas") {
  test::for_random_sets("host depth/within", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_read_device(rng);
    HostCost host = test::random_host(rng, 1);
    const double unlimited_s = time_s("analytic", params, host, seed, 8);
    host.depth = 4096;
    REQUIRE(time_s("analytic", params, host, seed, 8) == unlimited_s);
  });
}

TEST_CASE("host depth: a closed loop is no faster than its depth allows") {
  test::for_random_sets("host depth/loop", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_read_device(rng);
    HostCost host = test::random_host(rng, 1);
    host.depth = 1;
    ClosedLoop load;
    load.seed = seed;
    load.depth = 8;
    const auto device = test::make_device("queueing", params, host, seed);
    const LoadResult result = run_closed_loop(*device, load, 10, 100);
    REQUIRE(result.requests_per_s * time_s("queueing", params, host, seed, 1) == Approx(1.0).epsilon(0.01));
  });
}

}  // namespace
}  // namespace kvr::flash

// Threads that take turns on one queue (queue_round), and wide reads of which few are served at once, on
// random devices.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr std::int64_t kRange = 1'000'000'000;

DeviceParams one_queue(Rng& rng) {
  DeviceParams params = test::random_device(rng);
  params.hw_queues = 1;
  return params;
}

TEST_CASE(
    "turns (queueing): every request is done once, by as many threads as there are, however short a turn") {
  test::for_random_sets("turns/all done", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = one_queue(rng);
    params.queue_round = test::between(rng, 1e-6, 1e-1);
    params.wide_reads = static_cast<std::int64_t>(rng.below(4));
    const auto threads = static_cast<std::int64_t>(2 + rng.below(6));
    const auto device = test::make_device("queueing", params, test::random_host(rng, threads), seed);
    device->set_working_set(kRange);
    auto done = test::run_batch(*device, test::random_batch(rng, 300, 64, kRange, threads, 0.3));
    std::ranges::sort(done, {}, &IoDone::id);
    REQUIRE(done.size() == 300);
    for (std::size_t i = 0; i < done.size(); ++i) {
      REQUIRE(done[i].id == i);
    }
  });
}

TEST_CASE("turns (queueing): whoever keeps one request outstanding neither takes a turn nor waits for one") {
  test::for_random_sets("turns/one each", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = one_queue(rng);
    params.max_transfer = 1 << 20;
    params.queue_depth = 8;
    const ClosedLoop load{.bytes = 4096 * static_cast<std::int64_t>(1 + rng.below(64)),
                          .threads = static_cast<std::int64_t>(1 + rng.below(8)),
                          .range_bytes = kRange,
                          .seed = seed};
    const HostCost host = test::random_host(rng, load.threads);
    const auto result = [&] {
      return run_closed_loop(*test::make_device("queueing", params, host, seed), load, 10, 200);
    };
    const LoadResult side_by_side = result();
    params.queue_round = 0.1;
    const LoadResult in_turns = result();
    REQUIRE(in_turns.seconds == side_by_side.seconds);
    REQUIRE(in_turns.p99_s == side_by_side.p99_s);
  });
}

TEST_CASE(
    "turns (queueing): a thread waits for the turns of the others, and their number does not slow the "
    "queue") {
  DeviceParams params;
  params.queue_round = 8e-3;
  const HostCost host{.per_command_s = 1e-6, .cycles_per_command = 0.0, .wake_s = 1e-6, .threads = 4};
  const ClosedLoop load{.depth = 32, .threads = 4, .range_bytes = kRange};
  const auto result = [&] {
    return run_closed_loop(*test::make_device("queueing", params, host, 1), load, 2000, 40'000);
  };
  const LoadResult in_turns = result();
  CHECK(in_turns.p50_s < 2e-3);
  CHECK(in_turns.p99_s > 3.0 * 8e-3 / 4.0);
  CHECK(in_turns.p99_s < 8e-3 + 1e-3);
  params.queue_round = 0.0;
  const LoadResult side_by_side = result();
  CHECK(in_turns.requests_per_s == Approx(side_by_side.requests_per_s).epsilon(0.02));
  CHECK(side_by_side.p99_s < 2e-3);
}

TEST_CASE("wide reads (queueing): fewer at once are never faster, and small reads do not feel them") {
  test::for_random_sets("wide/fewer", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_read_device(rng);
    params.max_transfer = 1 << 20;
    params.wide_above = 16'384;
    const HostCost host = test::random_host(rng, 1);
    const auto rate = [&](std::int64_t bytes, std::int64_t wide_reads) {
      params.wide_reads = wide_reads;
      const ClosedLoop load{.bytes = bytes, .depth = 16, .range_bytes = kRange, .seed = seed};
      return run_closed_loop(*test::make_device("queueing", params, host, seed), load, 100, 500)
          .requests_per_s;
    };
    REQUIRE(rate(16'384, 1) == rate(16'384, 0));
    // Other orders at the dies make a few per cent.
    constexpr double kOrder = 1.05;
    const double one = rate(65'536, 1);
    const double two = rate(65'536, 2);
    REQUIRE(one <= two * kOrder);
    REQUIRE(two <= rate(65'536, 0) * kOrder);
  });
}

}  // namespace
}  // namespace kvr::flash

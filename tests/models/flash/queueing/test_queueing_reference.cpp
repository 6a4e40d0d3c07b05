// The device `queueing` against a plain simulation of the same machine (queueing_reference.hpp): every time
// must be the same double.
#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/queueing/queueing_reference.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr std::uint64_t kSets = 400;

/// How long a thread that has contended keeps the lock.
double lock_time_s(const DeviceParams& device, const HostCost& host) {
  ReadPath one_thread = read_path(device, host, 0.0);
  one_thread.host.threads = 1;
  return (1.0 + device.contention) * service_s(one_thread, static_cast<double>(device.block));
}

/// Batches of 60 reads at most, half of them some time after the first.
std::vector<IoRequest> random_reads(Rng& rng, std::int64_t threads, std::int64_t range_bytes) {
  const auto most_blocks = static_cast<std::int64_t>(1 + rng.below(100));
  auto requests = test::random_batch(rng, 60, most_blocks, range_bytes, threads);
  const double later_s = test::between(rng, 1e-6, 1e-2);
  for (std::size_t i = requests.size() / 2; i < requests.size(); ++i) {
    requests[i].submit_s = later_s;
  }
  return requests;
}

void compare(const DeviceParams& params, const HostCost& host, std::uint64_t seed,
             const std::vector<IoRequest>& requests) {
  REQUIRE(params.read_time_spread > 0.0);
  const auto device = test::make_device("queueing", params, host, seed);
  const std::vector<IoDone> done = test::run_batch(*device, requests);
  const test::ReferenceRun expected =
      test::run_reference(params, host, seed, lock_time_s(params, host), requests);
  for (std::size_t i = 0; i < done.size(); ++i) {
    CAPTURE(i);
    REQUIRE(done[i].start_s == expected.done[i].start_s);
    REQUIRE(done[i].device_s == expected.done[i].device_s);
    REQUIRE(done[i].done_s == expected.done[i].done_s);
  }
  for (const ResourceStats& one : expected.resources) {
    CAPTURE(one.name);
    const ResourceStats found = test::resource(device->stats(), one.name);
    REQUIRE(found.servers == one.servers);
    REQUIRE(found.served == one.served);
    REQUIRE(found.busy_s == Approx(one.busy_s).epsilon(1e-9));
    REQUIRE(found.waited_s == Approx(one.waited_s).epsilon(1e-9));
  }
}

TEST_CASE("reads within a stripe by one thread, mapping at hand, end as the plain simulation says") {
  for (std::uint64_t seed = 0; seed < kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_reference/plain");
    DeviceParams params = test::random_read_device(rng);
    params.read_time_spread = test::between(rng, 0.01, 0.5);
    const HostCost host = test::random_host(rng, 1);
    auto requests = random_reads(rng, 1, 1'000'000'000);
    for (IoRequest& request : requests) {
      const std::int64_t left = params.stripe - request.offset_bytes % params.stripe;
      request.length_bytes = std::min(request.length_bytes, left);
    }
    compare(params, host, seed, requests);
  }
}

TEST_CASE("reads across stripes, split into commands, end as the plain simulation says") {
  for (std::uint64_t seed = 1000; seed < 1000 + kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_reference/fragments");
    DeviceParams params = test::random_read_device(rng);
    params.read_time_spread = test::between(rng, 0.01, 0.5);
    const HostCost host = test::random_host(rng, 1);
    compare(params, host, seed, random_reads(rng, 1, 100'000'000));
  }
}

TEST_CASE("reads that miss mapping pages end as the plain simulation says") {
  for (std::uint64_t seed = 2000; seed < 2000 + kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_reference/misses");
    DeviceParams params = test::random_device(rng);
    params.mapping = "lru";
    params.map_coverage = rng.below(8) == 0 ? 0.0 : test::between(rng, 4e6, 2e8);
    params.read_time_spread = test::between(rng, 0.01, 0.5);
    const HostCost host = test::random_host(rng, 1);
    compare(params, host, seed, random_reads(rng, 1, 200'000'000));
  }
}

TEST_CASE("reads of which few wide ones are served at once end as the plain simulation says") {
  for (std::uint64_t seed = 5000; seed < 5000 + kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_reference/wide");
    DeviceParams params = test::random_device(rng);
    params.mapping = "lru";
    params.read_time_spread = test::between(rng, 0.01, 0.5);
    params.wide_reads = static_cast<std::int64_t>(1 + rng.below(4));
    params.wide_above = 4096 * static_cast<std::int64_t>(rng.below(16));
    const HostCost host = test::random_host(rng, 1);
    compare(params, host, seed, random_reads(rng, 1, 200'000'000));
  }
}

TEST_CASE("reads of threads with queues of their own end as the plain simulation says") {
  for (std::uint64_t seed = 3000; seed < 3000 + kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_reference/queues");
    DeviceParams params = test::random_read_device(rng);
    const auto threads = static_cast<std::int64_t>(2 + rng.below(4));
    params.hw_queues = threads;
    params.read_time_spread = test::between(rng, 0.01, 0.5);
    const HostCost host = test::random_host(rng, threads);
    compare(params, host, seed, random_reads(rng, threads, 100'000'000));
  }
}

TEST_CASE("reads of threads that contend for one queue end as the plain simulation says") {
  for (std::uint64_t seed = 4000; seed < 4000 + kSets; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/queueing_reference/lock");
    DeviceParams params = test::random_read_device(rng);
    const auto threads = static_cast<std::int64_t>(2 + rng.below(4));
    params.hw_queues = 1;
    params.queue_depth = 65536;
    params.contention = rng.uniform();
    params.contention_window = test::between(rng, 1e-6, 1e-3);
    params.read_time_spread = test::between(rng, 0.01, 0.5);
    const HostCost host = test::random_host(rng, threads);
    compare(params, host, seed, random_reads(rng, threads, 100'000'000));
  }
}

}  // namespace
}  // namespace kvr::flash

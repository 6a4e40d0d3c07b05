// What splitting, merging, permuting and scaling do to a batch on the device `queueing`, over random devices.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "tests/models/device_runs.hpp"
#include "tests/models/random_device.hpp"

namespace kvr::flash {
namespace {

constexpr std::int64_t kRange = 1'000'000'000;
constexpr double kChunkBytes = 16384.0;

double batch_time_s(const DeviceParams& params, const HostCost& host, std::uint64_t seed,
                    const std::vector<IoRequest>& batch) {
  return test::makespan_s(*test::make_device("queueing", params, host, seed), batch);
}

TEST_CASE("queueing: one read within a stripe takes the sum of its stages") {
  test::for_random_sets("queueing/one", [](Rng& rng, std::uint64_t seed) {
    DeviceParams d = test::random_device(rng);
    const bool misses = rng.below(2) == 0;
    d.mapping = "lru";
    d.map_coverage = misses ? 0.0 : std::numeric_limits<double>::infinity();
    const HostCost host = test::random_host(rng, 1);
    const auto most = static_cast<std::uint64_t>(std::min(d.stripe, d.max_transfer));
    const auto bytes = 4096.0 * static_cast<double>(1 + rng.below(most / 4096));
    const double channel = d.channel_bandwidth * d.thermal_factor();
    const double link = d.link * d.thermal_factor();
    const double map_s = misses ? d.map_read_time + 4096.0 / channel : 0.0;
    // The first chunk leads; the rest follows at the pace of the slower of channel and link.
    const double chunk = std::min(bytes, kChunkBytes);
    const double out_s =
        std::max(chunk / channel + bytes / link + d.command_link_time, bytes / channel + chunk / link);
    const double latency_s =
        host.command_s(bytes) + d.firmware_time + d.command_delay + map_s + d.read_time + out_s + host.wake_s;
    const double end_s = batch_time_s(
        d, host, seed, {{0, IoKind::read, 0, 7 * d.stripe, static_cast<std::int64_t>(bytes), 0.0}});
    REQUIRE(end_s == doctest::Approx(latency_s).epsilon(1e-12));
  });
}

TEST_CASE(
    "queueing: two halves one after the other are faster than the batch by less than one read, if at all") {
  // Which reads meet at a die and which is the last differ between both (Graham's anomaly), where the batch
  // is long enough for the time saved between the halves to count little.
  test::for_random_sets("queueing/halves", [](Rng& rng, std::uint64_t seed) {
    // The mapping is at hand: chance would draw the misses of two batches anew, and a cache may miss once
    // more in the whole batch, where more pages are on their way at once.
    const DeviceParams params = test::random_read_device(rng);
    const HostCost host = test::random_host(rng, 1);
    const auto batch = test::random_batch(rng, 2 * (1 + rng.below(60)), 64, kRange, 1);
    const auto half = batch.begin() + static_cast<std::ptrdiff_t>(batch.size() / 2);
    const auto device = test::make_device("queueing", params, host, seed);
    const double first_s = test::makespan_s(*device, {batch.begin(), half});
    std::vector<IoRequest> second(half, batch.end());
    for (IoRequest& request : second) {
      request.submit_s = first_s;
    }
    const double read_s = batch_time_s(params, host, seed, {{0, IoKind::read, 0, 0, 64 * 4096, 0.0}});
    REQUIRE(test::makespan_s(*device, second) >= batch_time_s(params, host, seed, batch) - read_s);
  });
}

/// A batch of reads, and the same reads each cut in two.
struct Cut {
  std::vector<IoRequest> whole;
  std::vector<IoRequest> halves;
};

Cut random_cut(Rng& rng, std::size_t count) {
  Cut cut{test::random_batch(rng, count, 1, kRange, 1), {}};
  for (IoRequest& read : cut.whole) {
    const auto first = 4096 * static_cast<std::int64_t>(1 + rng.below(16));
    const auto second = 4096 * static_cast<std::int64_t>(1 + rng.below(16));
    const std::uint64_t id = cut.halves.size();
    cut.halves.push_back({id, IoKind::read, 0, read.offset_bytes, first, 0.0});
    cut.halves.push_back({id + 1, IoKind::read, 0, read.offset_bytes + first, second, 0.0});
    read.length_bytes = first + second;
  }
  return cut;
}

// A merged read enters the link after 16 KiB of it; two small ones do so after each. So merging may cost up
// to the link time of such a chunk where it saves less than that elsewhere.

TEST_CASE("queueing: two adjacent reads alone are never faster than one, but for the chunk that leads") {
  test::for_random_sets("queueing/merge", [](Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_read_device(rng);
    const HostCost host = test::random_host(rng, 1);
    const Cut cut = random_cut(rng, 1);
    const double chunk_s = kChunkBytes / (params.link * params.thermal_factor());
    REQUIRE(batch_time_s(params, host, seed, cut.whole) <=
            batch_time_s(params, host, seed, cut.halves) + chunk_s);
  });
}

TEST_CASE(
    "queueing: merging all reads of a batch never costs more than a chunk on a die without cache reads") {
  // With them, small reads fit the registers side by side, and a merged one waits until they are empty.
  test::for_random_sets("queueing/merge one die", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_read_device(rng);
    params.cache_read = false;
    params.channels = 1;
    params.dies_per_channel = 1;
    params.read_bandwidth = std::min(params.read_bandwidth, params.channel_bandwidth);
    params.latency_bandwidth = std::min(params.latency_bandwidth, params.read_bandwidth);
    params.slc_program_time = static_cast<double>(params.stripe) / params.slc_bandwidth * 0.9;
    params.tlc_program_time = static_cast<double>(params.stripe) / params.tlc_bandwidth * 0.9;
    const HostCost host = test::random_host(rng, 1);
    const Cut cut = random_cut(rng, 1 + rng.below(60));
    const double chunk_s = kChunkBytes / (params.link * params.thermal_factor());
    REQUIRE(batch_time_s(params, host, seed, cut.whole) <=
            batch_time_s(params, host, seed, cut.halves) + chunk_s);
  });
}

TEST_CASE("queueing: merging makes batches shorter on average") {
  // No claim for each: on several dies merging changes which reads meet at a die while the slots last, and
  // the last die may happen to have more to do (Graham's anomaly; up to 13 % of a batch of few reads).
  double sum = 0.0;
  test::for_random_sets("queueing/merge on average", [&sum](Rng& rng, std::uint64_t seed) {
    const DeviceParams params = test::random_read_device(rng);
    const HostCost host = test::random_host(rng, 1);
    const Cut cut = random_cut(rng, 1 + rng.below(60));
    sum += batch_time_s(params, host, seed, cut.whole) / batch_time_s(params, host, seed, cut.halves);
  });
  CHECK(sum / static_cast<double>(test::kSets) < 1.0);
}

TEST_CASE("queueing: the order of equal reads that are submitted at once matters little") {
  // With slots for all of them, every die has the same work in any order and only the end of the batch
  // differs. With fewer, the order decides which reads meet, and batches differ by chance.
  test::for_random_sets("queueing/permuted", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_device(rng);
    params.queue_depth = 4096;
    params.mapping = "statistical";
    const HostCost host = test::random_host(rng, 1);
    auto batch = test::random_batch(rng, 2000, 1, kRange, 1);
    const auto bytes = 4096 * static_cast<std::int64_t>(1 + rng.below(16));
    for (IoRequest& read : batch) {
      read.length_bytes = bytes;
    }
    const double one_s = batch_time_s(params, host, seed, batch);
    for (std::size_t i = batch.size() - 1; i > 0; --i) {
      std::swap(batch[i].offset_bytes, batch[rng.below(i + 1)].offset_bytes);
    }
    REQUIRE(batch_time_s(params, host, seed, batch) == doctest::Approx(one_s).epsilon(0.01));
  });
}

/// All times four times as long.
DeviceParams slowed(DeviceParams d) {
  for (double* time_s :
       {&d.command_link_time, &d.firmware_time, &d.command_delay, &d.read_time, &d.map_read_time,
        &d.fold_delay, &d.slc_program_time, &d.tlc_program_time, &d.erase_time, &d.program_suspend_time,
        &d.erase_suspend_time, &d.hit_time, &d.miss_time, &d.latency, &d.map_latency, &d.contention_window,
        &d.fit_host_command, &d.fit_host_wake}) {
    *time_s *= 4.0;
  }
  for (double* bandwidth : {&d.link, &d.channel_bandwidth, &d.slc_bandwidth, &d.tlc_bandwidth,
                            &d.fold_bandwidth, &d.read_bandwidth, &d.latency_bandwidth}) {
    *bandwidth /= 4.0;
  }
  return d;
}

TEST_CASE("queueing: all times scale together, exactly") {
  test::for_random_sets("queueing/scaled", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_device(rng);
    params.read_time_spread = rng.uniform();
    const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
    const HostCost host = test::random_host(rng, threads);
    HostCost slow_host = host;
    for (double* time_s : {&slow_host.per_command_s, &slow_host.cycles_per_command, &slow_host.per_byte_s,
                           &slow_host.wake_s}) {
      *time_s *= 4.0;
    }
    const auto batch = test::random_batch(rng, 200, 64, kRange, threads, 0.3);
    const auto fast = test::run_batch(*test::make_device("queueing", params, host, seed), batch);
    const auto slow = test::run_batch(*test::make_device("queueing", slowed(params), slow_host, seed), batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      CAPTURE(i);
      REQUIRE(slow[i].start_s == 4.0 * fast[i].start_s);
      REQUIRE(slow[i].device_s == 4.0 * fast[i].device_s);
      REQUIRE(slow[i].done_s == 4.0 * fast[i].done_s);
    }
  });
}

}  // namespace
}  // namespace kvr::flash

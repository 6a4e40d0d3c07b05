// What splitting, merging, permuting and scaling do to a batch on the device `queueing`, over random devices.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "tests/models/flash/device_runs.hpp"
#include "tests/models/flash/random_device.hpp"

namespace kvr::flash {
namespace {

constexpr std::int64_t kRange = 1'000'000'000;
constexpr double kChunkBytes = 16384.0;

double batch_time_s(const DeviceParams& params, const HostCost& host, std::uint64_t seed,
                    const std::vector<IoRequest>& batch) {
  return test::makespan_s(*test::make_device("queueing", params, host, seed), batch);
}

TEST_CASE("one read (queueing): within a stripe it takes the sum of its stages") {
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

TEST_CASE("sequential halves (queueing): faster than the batch by less than one read, if at all") {
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

TEST_CASE("merging and splitting (queueing): a read in pieces is never faster, but for what leads") {
  // The whole read enters the link after 16 KiB of it on each channel and firmware after the host's work for
  // all of its bytes, its first piece sooner. Within one command, since the same cuts at max_transfer would
  // fall elsewhere; and with cache reads: without them fragments keep their dies while they wait for the
  // channel, and their order there may favour pieces by chance (3 of 20000 random sets).
  test::for_random_sets("queueing/split", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_read_device(rng);
    params.cache_read = true;
    params.max_transfer = 1 << 20;
    const HostCost host = test::random_host(rng, 1);
    const auto first = 4096 * static_cast<std::int64_t>(rng.below(100'000));
    std::vector<IoRequest> pieces(2 + rng.below(7));
    std::int64_t end = first;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto bytes = 4096 * static_cast<std::int64_t>(1 + rng.below(16));
      pieces[i] = {i, IoKind::read, 0, end, bytes, 0.0};
      end += bytes;
    }
    const double link = params.link * params.thermal_factor();
    const double lead_s = static_cast<double>(params.channels) * kChunkBytes / link +
                          host.per_byte_s * static_cast<double>(end - first);
    REQUIRE(batch_time_s(params, host, seed, {{0, IoKind::read, 0, first, end - first, 0.0}}) <=
            batch_time_s(params, host, seed, pieces) + lead_s);
  });
}

TEST_CASE(
    "merging and splitting (queueing): on a die without cache reads no batch gains more than a chunk by it") {
  // A merged read enters the link after 16 KiB of it; two small ones do so after each, so merging may cost
  // the link time of such a chunk. With cache reads, small reads fit the registers side by side, and a merged
  // one waits until they are empty.
  test::for_random_sets("queueing/merge one die", [](Rng& rng, std::uint64_t seed) {
    DeviceParams params = test::random_read_device(rng);
    params.cache_read = false;
    params.max_transfer = 1 << 20;  // as above
    params.channels = 1;
    params.dies_per_channel = 1;
    params.read_bandwidth = std::min(params.read_bandwidth, params.channel_bandwidth);
    params.latency_bandwidth = std::min(params.latency_bandwidth, params.read_bandwidth);
    params.slc_program_time = static_cast<double>(params.stripe) / params.slc_bandwidth * 0.9;
    params.tlc_program_time = static_cast<double>(params.stripe) / params.tlc_bandwidth * 0.9;
    HostCost host = test::random_host(rng, 1);
    host.per_byte_s = 0.0;  // a merged read waits for the host to be done with all of its bytes
    const Cut cut = random_cut(rng, 1 + rng.below(60));
    const double chunk_s = kChunkBytes / (params.link * params.thermal_factor());
    REQUIRE(batch_time_s(params, host, seed, cut.whole) <=
            batch_time_s(params, host, seed, cut.halves) + chunk_s);
  });
}

TEST_CASE("merging and splitting (queueing): merged batches are shorter on average") {
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

TEST_CASE("determinism (queueing): the order of equal reads that are submitted at once matters little") {
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

}  // namespace
}  // namespace kvr::flash

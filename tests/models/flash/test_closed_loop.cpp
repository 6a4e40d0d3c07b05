#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <set>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "sim/base/rng.hpp"

namespace kvr::flash {
namespace {

/// One server of `service_s`, then a delay, so that one request alone takes `latency_s`: at constant service
/// a closed loop of q requests gives exactly X = min(q / L, 1 / S) once it has settled.
class FakeDevice final : public FlashDevice {
 public:
  FakeDevice(double service_s, double latency_s) : service_s_(service_s), latency_s_(latency_s) {}

  DeviceLimits limits() const override { return {.queue_depth = 1 << 20, .block_bytes = 4096}; }
  void set_working_set(std::int64_t bytes) override { working_set = bytes; }
  void submit(std::span<const IoRequest> requests) override {
    for (const IoRequest& request : requests) {
      REQUIRE(request.submit_s >= now_s_);
      seen.push_back(request);
      free_s_ = std::max(free_s_, request.submit_s) + service_s_;
      pending_.push_back({.id = request.id, .done_s = free_s_ + latency_s_ - service_s_});
      most_outstanding = std::max(most_outstanding, pending_.size());
    }
  }
  double next_event_s() override {
    return pending_.empty() ? std::numeric_limits<double>::infinity() : pending_.front().done_s;
  }
  void advance(double to_s, std::vector<IoDone>& done) override {
    REQUIRE(to_s >= now_s_);
    now_s_ = to_s;
    for (; !pending_.empty() && pending_.front().done_s <= to_s; pending_.pop_front()) {
      done.push_back(pending_.front());
    }
  }
  DeviceStats stats() const override { return {}; }
  DeviceEnergy energy(double) const override { return {}; }

  std::int64_t working_set = -1;
  std::size_t most_outstanding = 0;
  std::vector<IoRequest> seen;

 private:
  double service_s_;
  double latency_s_;
  double free_s_ = 0.0;
  double now_s_ = 0.0;
  std::deque<IoDone> pending_;
};

/// Latencies that differ from request to request and do not keep the order: what `done` says is the truth.
class ShufflingDevice final : public FlashDevice {
 public:
  explicit ShufflingDevice(std::uint64_t seed) : rng_(seed) {}

  DeviceLimits limits() const override { return {}; }
  void set_working_set(std::int64_t) override {}
  void submit(std::span<const IoRequest> requests) override {
    for (const IoRequest& request : requests) {
      const auto ticks = static_cast<double>(1 + rng_.below(50));
      pending_.push_back({.id = request.id, .done_s = request.submit_s + 1e-6 * ticks});
      latencies_s.push_back(pending_.back().done_s - request.submit_s);
      REQUIRE(ids_.insert(request.id).second);
      outstanding_of_thread[request.thread] += 1;
      thread_of_.resize(std::max<std::size_t>(thread_of_.size(), request.id + 1));
      thread_of_[request.id] = request.thread;
    }
    for (const std::int64_t count : outstanding_of_thread) {
      REQUIRE((count == 0 || count == depth));
    }
  }
  double next_event_s() override {
    double next_s = std::numeric_limits<double>::infinity();
    for (const IoDone& io : pending_) {
      next_s = std::min(next_s, io.done_s);
    }
    return next_s;
  }
  void advance(double to_s, std::vector<IoDone>& done) override {
    std::ranges::sort(pending_, [](const IoDone& a, const IoDone& b) {
      return a.done_s < b.done_s || (a.done_s == b.done_s && a.id < b.id);
    });
    const auto end = std::ranges::find_if(pending_, [to_s](const IoDone& io) { return io.done_s > to_s; });
    for (auto io = pending_.begin(); io != end; ++io) {
      outstanding_of_thread[thread_of_[io->id]] -= 1;
      delivered += 1;
      done.push_back(*io);
    }
    pending_.erase(pending_.begin(), end);
  }
  DeviceStats stats() const override { return {}; }
  DeviceEnergy energy(double) const override { return {}; }

  std::int64_t depth = 0;
  std::int64_t delivered = 0;
  std::vector<std::int64_t> outstanding_of_thread = std::vector<std::int64_t>(4);
  std::vector<double> latencies_s;

 private:
  Rng rng_;
  std::vector<IoDone> pending_;
  std::set<std::uint64_t> ids_;
  std::vector<std::uint16_t> thread_of_;
};

TEST_CASE("a closed loop reaches min(q/L, 1/S), and mean latency times rate is q") {
  const double service_s = 5e-6;
  const double latency_s = 80e-6;
  for (const std::int64_t depth : {1, 2, 8, 15, 16, 17, 64}) {
    for (const std::int64_t threads : {1, 3}) {
      CAPTURE(depth);
      CAPTURE(threads);
      FakeDevice device(service_s, latency_s);
      const auto q = static_cast<double>(depth * threads);
      const auto result = run_closed_loop(device, {.depth = depth, .threads = threads}, 10 * depth * threads,
                                          200 * depth * threads);
      const double expected = std::min(q / latency_s, 1.0 / service_s);
      CHECK(result.requests_per_s == doctest::Approx(expected).epsilon(0.005));
      CHECK(result.bytes_per_s == doctest::Approx(result.requests_per_s * 4096.0));
      CHECK(result.latency_s * result.requests_per_s == doctest::Approx(q).epsilon(0.005));
      CHECK(result.p99_s == doctest::Approx(q / expected));
      CHECK(device.most_outstanding == static_cast<std::size_t>(depth * threads));
    }
  }
}

TEST_CASE("one request at a time takes exactly its latency, and nothing is left outstanding") {
  FakeDevice device(5e-6, 80e-6);
  const auto first = run_closed_loop(device, {.start_s = 1.0}, 0, 10);
  CHECK(first.requests == 10);
  CHECK(first.seconds == doctest::Approx(800e-6));
  CHECK(first.latency_s == doctest::Approx(80e-6));
  CHECK(first.p50_s == doctest::Approx(80e-6));
  CHECK(device.seen.front().submit_s == 1.0);
  CHECK(device.next_event_s() == std::numeric_limits<double>::infinity());

  const auto second = run_closed_loop(device, {.start_s = first.ended_s}, 3, 7);
  CHECK(second.requests == 7);
  CHECK(second.latency_s == doctest::Approx(80e-6));
  CHECK(second.ended_s > first.ended_s);
}

TEST_CASE("what is outstanding before is waited for and does not count") {
  FakeDevice device(5e-6, 80e-6);
  const IoRequest stray{.id = 7, .length_bytes = 4096, .submit_s = 2.0};
  device.submit({&stray, 1});
  const auto result = run_closed_loop(device, {}, 0, 5);
  CHECK(result.requests == 5);
  CHECK(device.seen[1].submit_s == 2.0 + 80e-6);
}

TEST_CASE(
    "random offsets are aligned, within the range, reach both of its ends and depend on the seed only") {
  const auto offsets = [](std::uint64_t seed, double latency_s) {
    FakeDevice device(5e-6, latency_s);
    run_closed_loop(device, {.bytes = 24576, .depth = 4, .range_bytes = 24576 + 9 * 4096 + 100, .seed = seed},
                    0, 1000);
    std::vector<std::int64_t> places;
    for (const IoRequest& request : device.seen) {
      CHECK(request.length_bytes == 24576);
      places.push_back(request.offset_bytes);
    }
    CHECK(device.working_set == 24576 + 9 * 4096 + 100);
    places.resize(1000);
    return places;
  };
  const auto places = offsets(1, 80e-6);
  const std::set<std::int64_t> distinct(places.begin(), places.end());
  CHECK(distinct.size() == 10);
  CHECK(*distinct.begin() == 0);
  CHECK(*distinct.rbegin() == 9 * 4096);
  CHECK(std::ranges::all_of(distinct, [](std::int64_t offset) { return offset % 4096 == 0; }));
  CHECK(places == offsets(1, 80e-6));
  CHECK(places == offsets(1, 50e-6));
  CHECK(places != offsets(2, 80e-6));
}

TEST_CASE("a sequential load is one stream that wraps at the range, and touches no mapping") {
  FakeDevice device(5e-6, 80e-6);
  run_closed_loop(
      device, {.kind = IoKind::write, .bytes = 8192, .depth = 3, .range_bytes = 20000, .sequential = true}, 0,
      20);
  for (std::size_t i = 0; i < device.seen.size(); ++i) {
    CHECK(device.seen[i].offset_bytes == (i % 2 == 0 ? 0 : 8192));
    CHECK(device.seen[i].kind == IoKind::write);
  }
  CHECK(device.working_set == 0);
}

TEST_CASE("every thread keeps its depth whatever the order of completions, and percentiles are exact") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "closed_loop_test");
    ShufflingDevice device(seed);
    device.depth = static_cast<std::int64_t>(1 + rng.below(9));
    const auto threads = static_cast<std::int64_t>(1 + rng.below(4));
    const auto outstanding = device.depth * threads;
    const std::int64_t requests = 400;
    const auto result =
        run_closed_loop(device, {.depth = device.depth, .threads = threads, .seed = seed}, 0, requests);
    CHECK(result.requests == requests);
    CHECK(device.delivered == static_cast<std::int64_t>(device.latencies_s.size()));
    CHECK(device.delivered >= requests);
    CHECK(device.delivered < requests + 2 * outstanding);
    // The requests that count are all but the last few, so the percentile lies between those of the sorted
    // latencies with these few taken off at either end.
    std::vector<double> sorted = device.latencies_s;
    std::ranges::sort(sorted);
    CHECK(result.p50_s >= sorted[199]);
    CHECK(result.p50_s <= sorted[199 + static_cast<std::size_t>(device.delivered - requests)]);
    CHECK(result.p99_s >= sorted[395]);
    CHECK(result.latency_s <= 50.001e-6);
    const double little = result.latency_s * result.requests_per_s;
    CHECK(little == doctest::Approx(static_cast<double>(outstanding)).epsilon(0.12));
  }
}

}  // namespace
}  // namespace kvr::flash

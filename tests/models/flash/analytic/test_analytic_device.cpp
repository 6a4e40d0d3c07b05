// The device `analytic`: who is served when, and that nothing is lost.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

constexpr double kNever = std::numeric_limits<double>::infinity();

std::unique_ptr<FlashDevice> make(ParamValues values) {
  const DeviceParams params = from_values(device_param_table(), values);
  return Registry<FlashDevice>::instance().create("analytic", values, {test::fit_host(params), 1});
}

ParamValues ufs40() {
  return test::shipped_values("device", "devices/ufs40.yaml");
}

ReadPath ufs40_path() {
  const DeviceParams device = test::shipped_device("ufs40");
  return read_path(device, test::fit_host(device), 0.0);
}

IoRequest request(std::uint64_t id, IoKind kind, std::int64_t bytes, double submit_s) {
  return {id, kind, 0, 0, bytes, submit_s};
}

std::vector<IoRequest> reads(std::size_t count, std::int64_t bytes, double submit_s,
                             std::uint64_t first_id = 0) {
  std::vector<IoRequest> batch;
  for (std::size_t i = 0; i < count; ++i) {
    batch.push_back(request(first_id + i, IoKind::read, bytes, submit_s));
  }
  return batch;
}

std::vector<IoDone> drain(FlashDevice& device) {
  std::vector<IoDone> done;
  while (device.next_event_s() < kNever) {
    device.advance(device.next_event_s(), done);
  }
  return done;
}

TEST_CASE("a read is not done just before its latency has passed, and is done then") {
  const auto device = make(ufs40());
  CHECK(device->next_event_s() == kNever);
  device->submit(reads(1, 4096, 1.0));
  const double due_s = 1.0 + latency_s(ufs40_path(), 4096);
  CHECK(device->next_event_s() == due_s);
  std::vector<IoDone> done;
  device->advance(std::nextafter(due_s, 0.0), done);
  CHECK(done.empty());
  device->advance(due_s, done);
  REQUIRE(done.size() == 1);
  CHECK(done[0].start_s == 1.0);
  CHECK(done[0].done_s == due_s);
  CHECK(device->next_event_s() == kNever);
}

TEST_CASE("a batch spreads its completions from the first latency to the batch's time") {
  const auto device = make(ufs40());
  const std::vector<std::int64_t> sizes = {8192, 4096, 65536, 1024 * 1024, 4096};
  std::vector<IoRequest> batch;
  for (const std::int64_t bytes : sizes) {
    batch.push_back(request(batch.size(), IoKind::read, bytes, 0.0));
  }
  device->submit(batch);
  const auto done = drain(*device);
  REQUIRE(done.size() == sizes.size());
  CHECK(done.front().done_s == Approx(latency_s(ufs40_path(), 8192)));
  CHECK(done.back().done_s == Approx(batch_s(ufs40_path(), sizes)));
  for (std::size_t i = 0; i < done.size(); ++i) {
    CHECK(done[i].id == i);
  }
}

TEST_CASE("requests beyond the queue depth are taken up as slots become free") {
  const auto device = make(ufs40());
  device->submit(reads(100, 4096, 0.0));
  const auto done = drain(*device);
  CHECK(done[31].start_s == 0.0);
  for (std::size_t i = 32; i < done.size(); ++i) {
    CHECK(done[i].start_s == done[i - 32].done_s);
  }
}

TEST_CASE("batches are served in order, later ones when the one before has ended") {
  const auto device = make(ufs40());
  auto both = reads(8, 16384, 0.0);
  const auto second = reads(8, 16384, 1e-6, 8);
  both.insert(both.end(), second.begin(), second.end());
  device->submit(both);
  device->submit(reads(8, 16384, 0.5, 16));
  const double one_s = batch_s(ufs40_path(), std::vector<std::int64_t>(8, 16384));
  const auto done = drain(*device);
  CHECK(done[7].done_s == Approx(one_s));
  CHECK(done[8].start_s == done[7].done_s);
  CHECK(done[15].done_s == Approx(2.0 * one_s));
  CHECK(done[16].start_s == 0.5);
  CHECK(device->stats().busy_s == Approx(3.0 * one_s));
  CHECK(device->stats().reads == 24);
  CHECK(device->stats().read_bytes == 24 * 16384);
}

TEST_CASE("a wider working set than the mapping covers slows reads down") {
  const auto near = make(ufs40());
  const auto far = make(ufs40());
  far->set_working_set(64'000'000'000);
  near->submit(reads(64, 4096, 0.0));
  far->submit(reads(64, 4096, 0.0));
  const ReadPath path = read_path(test::shipped_device("ufs40"), ufs40_path().host, 64e9);
  CHECK(drain(*far).back().done_s == Approx(batch_s(path, std::vector<std::int64_t>(64, 4096))));
  CHECK(drain(*near).back().done_s < path.device.latency + 64 * service_s(path, 4096));
}

TEST_CASE("ids complete in order where times are equal") {
  // All reads of the batch wait for the longest, so the stretch between first and last is nothing.
  ParamValues values = ufs40();
  values["latency_bandwidth"] = 10e6;
  const auto device = make(values);
  device->submit(std::vector{request(9, IoKind::read, 524288, 0.0), request(3, IoKind::read, 4096, 0.0),
                             request(5, IoKind::read, 4096, 0.0)});
  const auto done = drain(*device);
  CHECK(done[0].done_s == done[2].done_s);
  CHECK(std::vector{done[0].id, done[1].id, done[2].id} == std::vector<std::uint64_t>{3, 5, 9});
}

TEST_CASE("writes slow down at the byte where the SLC pool is full") {
  // 1568 MiB/s into the pool and 556 MiB/s past it, measured on a UFS 4.0 part; the latter is divided by the
  // write amplification of 1.1.
  ParamValues values = ufs40();
  values["slc_pool"] = std::int64_t{512} << 20;
  const auto device = make(values);
  std::vector<IoRequest> batch;
  for (std::uint64_t i = 0; i < 2048; ++i) {
    batch.push_back(request(i, IoKind::write, 512 * 1024, 0.0));
  }
  device->submit(batch);
  const auto done = drain(*device);
  const double mib_s_before = 512.0 / (done[1023].done_s - done[0].done_s);
  const double mib_s_after = 512.0 / (done[2047].done_s - done[1023].done_s);
  CHECK(mib_s_before == Approx(1568.0).epsilon(0.1));
  CHECK(mib_s_after == Approx(556.0).epsilon(0.1));
  CHECK(device->stats().written_bytes == std::int64_t{1} << 30);
}

TEST_CASE("idle time makes room in the SLC pool, busy time does not") {
  ParamValues values = ufs40();
  values["slc_pool"] = std::int64_t{1} << 20;
  values["fold_bandwidth"] = static_cast<double>(1 << 20);
  const auto time_of_second = [&](double submit_s) {
    const auto device = make(values);
    device->submit(std::vector{request(0, IoKind::write, 1 << 20, 0.0)});
    const double end_s = drain(*device).back().done_s;
    const double at_s = std::max(submit_s, end_s);
    device->submit(std::vector{request(1, IoKind::write, 1 << 20, submit_s < end_s ? end_s : submit_s)});
    return drain(*device).back().done_s - at_s;
  };
  CHECK(time_of_second(0.0) > 2.5 * time_of_second(10.0));
  CHECK(time_of_second(0.5) > time_of_second(10.0));
  CHECK(time_of_second(0.5) < time_of_second(0.0));
}

TEST_CASE("reads of a mixed batch are served before its writes") {
  const auto device = make(ufs40());
  device->submit(std::vector{request(0, IoKind::write, 4096, 0.0), request(1, IoKind::read, 4096, 0.0),
                             request(2, IoKind::write, 4096, 0.0), request(3, IoKind::read, 4096, 0.0)});
  std::vector<std::uint64_t> order;
  for (const IoDone& io : drain(*device)) {
    order.push_back(io.id);
  }
  CHECK(order == std::vector<std::uint64_t>{1, 3, 0, 2});
}

TEST_CASE("time does not go back and requests are whole blocks") {
  const auto device = make(ufs40());
  std::vector<IoDone> done;
  device->advance(1.0, done);
  CHECK_THROWS_AS(device->advance(0.5, done), InternalError);
  CHECK_THROWS_AS(device->submit(reads(1, 4096, 0.5)), InternalError);
  CHECK_THROWS_AS(device->submit(reads(1, 1000, 2.0)), InternalError);
  CHECK_THROWS_AS(device->submit(reads(1, 0, 2.0)), InternalError);
}

/// Submits random batches, some while earlier ones are outstanding, and advances by random amounts.
std::vector<IoDone> random_run(std::uint64_t seed, std::vector<IoRequest>& submitted) {
  Rng rng = Rng::stream(seed, "tests/models/analytic_device");
  const auto device = make(ufs40());
  device->set_working_set(static_cast<std::int64_t>(rng.below(10'000'000'000)));
  std::vector<IoDone> done;
  double now_s = 0.0;
  for (int round = 0; round < 20; ++round) {
    std::vector<IoRequest> batch;
    for (std::uint64_t i = rng.below(80); i > 0; --i) {
      const auto kind = rng.below(4) == 0 ? IoKind::write : IoKind::read;
      const auto blocks = static_cast<std::int64_t>(1 + rng.below(300));
      const double later_s = rng.below(10) == 0 ? 1e-4 : 0.0;
      batch.push_back(request(submitted.size() + batch.size(), kind, blocks * 4096, now_s + later_s));
    }
    device->submit(batch);
    submitted.insert(submitted.end(), batch.begin(), batch.end());
    now_s += 5e-3 * rng.uniform();
    device->advance(now_s, done);
    CHECK(device->next_event_s() > now_s);
  }
  const auto rest = drain(*device);
  done.insert(done.end(), rest.begin(), rest.end());
  return done;
}

TEST_CASE("every request completes once, in order of time, after it was submitted and taken up") {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    std::vector<IoRequest> submitted;
    const auto done = random_run(seed, submitted);
    REQUIRE(done.size() == submitted.size());
    std::set<std::uint64_t> ids;
    for (std::size_t i = 0; i < done.size(); ++i) {
      ids.insert(done[i].id);
      REQUIRE(submitted[done[i].id].submit_s <= done[i].start_s);
      REQUIRE(done[i].start_s < done[i].done_s);
      REQUIRE((i == 0 || done[i - 1].done_s <= done[i].done_s));
    }
    CHECK(ids.size() == submitted.size());
  }
}

TEST_CASE("the same requests complete at bit-equal times") {
  std::vector<IoRequest> first;
  std::vector<IoRequest> second;
  const auto once = random_run(7, first);
  const auto again = random_run(7, second);
  REQUIRE(once.size() == again.size());
  for (std::size_t i = 0; i < once.size(); ++i) {
    REQUIRE(once[i].id == again[i].id);
    REQUIRE(once[i].done_s == again[i].done_s);
    REQUIRE(once[i].start_s == again[i].start_s);
  }
}

}  // namespace
}  // namespace kvr::flash

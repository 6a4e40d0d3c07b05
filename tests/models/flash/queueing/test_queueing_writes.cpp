// The way of written bytes through the device `queueing` by hand: buffer, pool, amplification, rest. Times in
// ticks (device_runs.hpp). A write of 64 KiB is with the controller 11 + 16.5 after its submission; one
// stripe crosses the channel in 64 and is programmed in 256 (pool) or 1024, which is also the pace of one
// die.
#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "tests/models/flash/device_runs.hpp"

namespace kvr::flash {
namespace {

using test::Bench;
using test::kHome;
using test::kKiB;
using test::kTick;
using test::plain_device;
using Ticks = std::vector<double>;

constexpr std::int64_t kStripe = 64 * kKiB;

DeviceParams with(std::int64_t buffer, std::int64_t pool) {
  DeviceParams d = plain_device();
  d.write_buffer = buffer;
  d.slc_pool = pool;
  return d;
}

TEST_CASE("a write is done when the controller has it") {
  CHECK(Bench(with(kStripe, 0)).write(0, 64 * kKiB).ends() == Ticks{11.0 + 16.5 + kHome});
  CHECK(Bench(with(kStripe, 0)).write(0, 4 * kKiB).ends() == Ticks{11.0 + 1.5 + kHome});
}

TEST_CASE("writes wait for room in the buffer, first come, first served") {
  // The first is programmed at 27.5 + 64 + 256 = 347.5, which makes room for the third, in at 60.5. The
  // second leaves the buffer with the pool's pace at 283.5 and is programmed at 603.5.
  Bench bench(with(2 * kStripe, std::int64_t{1} << 30));
  bench.write(0, kStripe).write(0, kStripe).write(0, kStripe).write(0, kStripe);
  CHECK(bench.ends() == Ticks{51.5, 44.0 + kHome, 347.5 + kHome, 603.5 + kHome});
}

TEST_CASE("a write larger than the buffer goes through it once it is empty") {
  Bench bench(with(0, std::int64_t{1} << 30));
  // The second is in at 27.5 + 32.5 and waits until the first is programmed.
  CHECK(bench.write(0, kStripe).write(0, 2 * kStripe).ends() == Ticks{51.5, 347.5 + kHome});
}

TEST_CASE("a full pool leaves the pace and the program time of the rest") {
  Bench bench(with(kStripe, 2 * kStripe));
  bench.write(0, kStripe).write(0, kStripe).write(0, kStripe).write(0, kStripe);
  // One stripe at a time: accepted when the one before is programmed, 64 + 256 later or 64 + 1024.
  CHECK(bench.ends() == Ticks{51.5, 347.5 + kHome, 667.5 + kHome, 1755.5 + kHome});
  bench.pass(1e5);
  const DeviceStats stats = bench.device().stats();
  CHECK(stats.slc_bytes == 2.0 * kStripe);
  CHECK(stats.tlc_bytes == 2.0 * kStripe);
}

TEST_CASE("stripes leave the buffer at the pool's pace where dies would be faster") {
  DeviceParams d = with(16 * kStripe, std::int64_t{1} << 30);
  d.slc_bandwidth = 0x1p27;  // one stripe in 512
  Bench bench(d);
  for (int i = 0; i < 4; ++i) {
    bench.write(0, kStripe);
  }
  bench.ends();
  // Sent at 27.5 + 512 i.
  for (int i = 1; i < 4; ++i) {
    bench.pass(27.0 + 512.0 * i);
    CHECK(bench.device().stats().slc_bytes == i * 1.0 * kStripe);
    bench.pass(28.0 + 512.0 * i);
    CHECK(bench.device().stats().slc_bytes == (i + 1.0) * kStripe);
  }
}

TEST_CASE("rest keeps the pace of what is still in the buffer") {
  DeviceParams d = with(16 * kStripe, std::int64_t{1} << 30);
  d.slc_bandwidth = 0x1p27;
  d.fold_delay = 0.0;
  Bench bench(d);
  for (int i = 0; i < 4; ++i) {
    bench.write(0, kStripe);
  }
  bench.write(0, 4 * kKiB).ends();
  bench.pass(28.0 + 512.0 * 2);
  CHECK(bench.device().stats().slc_bytes == 3.0 * kStripe);
  bench.pass(27.0 + 512.0 * 4);
  CHECK(bench.device().stats().slc_bytes == 4.0 * kStripe);
  bench.pass(28.0 + 512.0 * 4);
  CHECK(bench.device().stats().slc_bytes == 4.0 * kStripe + 4096.0);
  bench.pass(1e6);
  CHECK(bench.device().stats().slc_bytes == 4.0 * kStripe + 4096.0);
}

TEST_CASE("less than a stripe stays in the buffer until the device rests") {
  Bench bench(with(kStripe, std::int64_t{1} << 30));
  CHECK(bench.write(0, 4 * kKiB).ends() == Ticks{36.5});
  bench.pass(1036.0);
  CHECK(bench.device().stats().slc_bytes == 0.0);
  bench.pass(1037.0);
  CHECK(bench.device().stats().slc_bytes == 4096.0);
}

TEST_CASE("the pool is emptied stripe by stripe after fold_delay, until a request comes") {
  DeviceParams d = with(4 * kStripe, std::int64_t{1} << 30);
  d.fold_bandwidth = 0x1p26;  // one stripe in 1024
  Bench bench(d);
  bench.write(0, kStripe).write(0, kStripe).write(0, kStripe).write(0, kStripe);
  REQUIRE(bench.ends().back() == 77.0 + kHome);  // in at 11 + 4 * 16.5
  const auto folded = [&](double at) {
    bench.pass(at);
    return bench.device().stats().folded_bytes / static_cast<double>(kStripe);
  };
  CHECK(folded(1100.0) == 0.0);
  CHECK(folded(1102.0) == 1.0);
  CHECK(folded(1101.0 + 1023.0) == 1.0);
  CHECK(folded(1101.0 + 1025.0) == 2.0);
  // A read comes before the third; then the delay begins anew.
  const double end = bench.read(0, 4 * kKiB, 2200.0).ends().front();
  CHECK(folded(end + 999.0) == 2.0);
  CHECK(folded(end + 1001.0) == 3.0);
  CHECK(folded(end + 1000.0 + 10 * 1024.0) == 4.0);
  const DeviceStats stats = bench.device().stats();
  CHECK(stats.slc_bytes == 4.0 * kStripe);
  CHECK(stats.tlc_bytes == 4.0 * kStripe);
  // Four programs into the pool, four reads and four programs out of it, and the read.
  CHECK(test::resource(stats, "dies").served == 13);
}

TEST_CASE("outside the pool every stripe brings the copies that amplification says") {
  for (const double amplification : {1.0, 1.5, 2.0, 3.0, 5.0}) {
    CAPTURE(amplification);
    DeviceParams d = with(kStripe, 0);
    d.write_amplification = amplification;
    Bench bench(d);
    for (int i = 0; i < 8; ++i) {
      bench.write(0, kStripe);
    }
    bench.ends();
    bench.pass(1e6);
    const DeviceStats stats = bench.device().stats();
    const double copies = 8 * (amplification - 1.0);
    CHECK(static_cast<double>(test::resource(stats, "dies").served) == 8 + 2 * copies);
    CHECK(stats.tlc_bytes == (8 + copies) * kStripe);
  }
}

TEST_CASE("a read on a die that programs waits for it") {
  // Programmed at 91.5..347.5; the read is at the die at 211.
  DeviceParams d = with(kStripe, std::int64_t{1} << 30);
  const auto read_end = [&] { return Bench(d).write(0, kStripe).read(0, 4 * kKiB, 200.0).ends().back(); };
  CHECK(read_end() == 347.5 + 50 + 4 + 1.5 + kHome);
  d.program_suspend_time = 30 * kTick;
  CHECK(read_end() == 241.0 + 50 + 4 + 1.5 + kHome);
}

TEST_CASE("programs go round the dies") {
  DeviceParams d = with(4 * kStripe, std::int64_t{1} << 30);
  d.channels = 4;
  d.slc_bandwidth = 0x1p30;  // four dies: one stripe in 64
  Bench bench(d);
  for (int i = 0; i < 4; ++i) {
    bench.write(0, kStripe);
  }
  bench.ends();
  bench.pass(27.5 + 3 * 64.0 + 64 + 256 + 1);
  const ResourceStats dies = test::resource(bench.device().stats(), "dies");
  CHECK(dies.busy_s == 4 * 256 * kTick);
  CHECK(dies.waited_s == 0.0);
}

}  // namespace
}  // namespace kvr::flash

// Dies and channels by hand: reads that follow each other, and what programs and erases make them wait. Times
// in ticks (device_runs.hpp): a die senses in 50, 4 KiB cross a channel in 4.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "models/flash/queueing/flash_array.hpp"
#include "tests/models/flash/device_runs.hpp"

namespace kvr::flash {
namespace {

using test::Bench;
using test::kHome;
using test::kKiB;
using test::kTick;
using test::plain_device;
using Ticks = std::vector<double>;

constexpr double kBlock = 4096.0;

/// A die that is given operations at chosen times.
class ArrayBench : private ArrayListener {
 public:
  explicit ArrayBench(const DeviceParams& params) : array_(params, 1, events_, *this) {}

  ArrayBench& read(double at_ticks, double bytes = kBlock) {
    run_until(at_ticks);
    array_.read(at_ticks * kTick, 0, ArrayUse::host_read, tags_++, bytes);
    ready.push_back(-1.0);
    return *this;
  }
  ArrayBench& program(double at_ticks, double program_ticks, double bytes = kBlock) {
    run_until(at_ticks);
    array_.program(at_ticks * kTick, 0, ArrayUse::program, 0, bytes, program_ticks * kTick);
    return *this;
  }
  ArrayBench& run_until(double ticks) {
    while (!events_.empty() && events_.top().time_s < ticks * kTick) {
      array_.handle(events_.pop());
    }
    return *this;
  }
  ArrayBench& finish() { return run_until(std::numeric_limits<double>::infinity()); }
  ResourceStats dies() const { return array_.die_stats(); }
  ResourceStats channels() const { return array_.channel_stats(); }

  Ticks ready;  ///< by read: when its first chunk was out
  Ticks programs_done;

 private:
  void data_ready(double at_s, ArrayUse, std::uint32_t tag, double, double) override {
    ready[tag] = at_s / kTick;
  }
  void programmed(double at_s, ArrayUse, std::uint32_t, double) override {
    programs_done.push_back(at_s / kTick);
  }

  EventHeap events_;
  FlashArray array_;
  std::uint32_t tags_ = 0;
};

DeviceParams suspending(double program_ticks) {
  DeviceParams d = plain_device();
  d.program_suspend_time = program_ticks * kTick;
  return d;
}

TEST_CASE("with cache reads a die senses the next read while the last one leaves it") {
  DeviceParams d = plain_device();
  CHECK(Bench(d).read(0, 4 * kKiB).read(0, 4 * kKiB).ends() == Ticks{66.5 + kHome, 116.5 + kHome});
  d.cache_read = false;
  CHECK(Bench(d).read(0, 4 * kKiB).read(0, 4 * kKiB).ends() == Ticks{66.5 + kHome, 120.5 + kHome});
}

TEST_CASE("what was sensed waits in the die until the registers have room") {
  // Registers hold one stripe. Sensed at 0..50, 50..100, from 114 (the first has left) and 178.
  ArrayBench bench(plain_device());
  bench.read(0, 65536).read(0, 65536).read(0, 65536).read(0, 65536).finish();
  CHECK(bench.ready == Ticks{50.0 + 16, 114.0 + 16, 178.0 + 16, 242.0 + 16});
  CHECK(bench.dies().waited_s == (50.0 + 114 + 178) * kTick);
  CHECK(bench.channels().waited_s == 0.0);
}

TEST_CASE("registers hold as many pages as a stripe has") {
  // The channel is busy with 64 KiB of another die. Pages of 32 KiB: two sensed reads fit, the third does
  // not.
  DeviceParams d = plain_device();
  d.page = 32 * kKiB;
  d.channel_bandwidth = 0x1p28;  // 16 for 4 KiB
  d.read_bandwidth = 0x1p28;
  d.latency_bandwidth = 0x1p28;
  d.read_time = 5 * kTick;
  ArrayBench bench(d);
  bench.read(0).read(0).read(0).read(0).finish();
  // Sensed at 0..5, 5..10, 10..15 and, once the third has a register at 21, 21..26.
  CHECK(bench.ready == Ticks{21.0, 37.0, 53.0, 69.0});
  CHECK(bench.dies().waited_s == (5.0 + 10 + 21) * kTick);
}

TEST_CASE("dies of one channel share it, dies of several do not") {
  DeviceParams d = plain_device();
  d.dies_per_channel = 2;
  const auto ends = [&] { return Bench(d).read(0, 64 * kKiB).read(64 * kKiB, 64 * kKiB).ends(); };
  // Both sensed by 65; the channel has the first at 61..125, the second at 125..189.
  CHECK(ends() == Ticks{125.0 + 4 + kHome, 189.0 + 4 + kHome});
  d.dies_per_channel = 1;
  d.channels = 2;
  CHECK(ends() == Ticks{125.0 + 4 + kHome, 129.0 + 4 + kHome});
}

TEST_CASE("a read that meets a program waits for what is left of it or for the suspend time") {
  // Loaded at 4, done at 1004.
  ArrayBench early(suspending(30));
  early.program(0, 1000).read(100).finish();
  CHECK(early.ready == Ticks{130.0 + 50 + 4});
  CHECK(early.programs_done == Ticks{1004.0 + 50});
  ArrayBench late(suspending(30));
  late.program(0, 1000).read(990).finish();
  CHECK(late.ready == Ticks{1004.0 + 50 + 4});
  CHECK(late.programs_done == Ticks{1004.0});
  CHECK(late.dies().busy_s == 1050 * kTick);
}

TEST_CASE("a die that cannot suspend keeps reads waiting until its program is done") {
  ArrayBench bench(plain_device());
  bench.program(0, 1000).read(100).finish();
  CHECK(bench.ready == Ticks{1004.0 + 50 + 4});
}

TEST_CASE("a suspended program goes on after the reads that waited, and not after later ones") {
  ArrayBench bench(suspending(30));
  bench.program(0, 1000).read(100).read(110).read(150).finish();
  // Two sensed at 130..230; the third makes the program give way again at 260.
  CHECK(bench.ready == Ticks{184.0, 234.0, 314.0});
  CHECK(bench.programs_done == Ticks{1004.0 + 150});
}

TEST_CASE("a program gives way four times at most") {
  ArrayBench bench(suspending(30));
  bench.program(0, 1000).read(100).read(300).read(500).read(700).read(900).finish();
  CHECK(bench.ready == Ticks{184.0, 384.0, 584.0, 784.0, 1204.0 + 54});
  CHECK(bench.programs_done == Ticks{1204.0});
  // Busy with five reads and one program; the fifth read waited 304, the others 30.
  CHECK(bench.dies().served == 6);
  CHECK(bench.dies().busy_s == 1250 * kTick);
  CHECK(bench.dies().waited_s == (4 * 30 + 304) * kTick);
}

TEST_CASE("a program that has waited as long as it takes goes before reads") {
  ArrayBench bench(plain_device());
  for (int i = 0; i < 5; ++i) {
    bench.read(0);
  }
  // At the die from 4 on; it has waited 46 at 50, 96 at 100, 146 at 150.
  bench.program(0, 120).finish();
  CHECK(bench.ready == Ticks{54.0, 104.0, 154.0, 270.0 + 54, 320.0 + 54});
  CHECK(bench.programs_done == Ticks{270.0});
}

TEST_CASE("programs of one die follow each other; their data come ahead") {
  ArrayBench bench(plain_device());
  bench.program(0, 100).program(0, 100).finish();
  CHECK(bench.programs_done == Ticks{104.0, 204.0});
  CHECK(bench.dies().waited_s == 96 * kTick);
  CHECK(bench.channels().busy_s == 8 * kTick);
}

TEST_CASE("a die erases after each erase_block, and an erase has a suspend time of its own") {
  DeviceParams d = suspending(30);
  d.erase_block = 64 * kKiB;
  d.erase_suspend_time = 300 * kTick;
  ArrayBench bench(d);
  // Two programs of 32 KiB, loaded at 32 and 64, end at 132 and 232; the erase is due until 2232.
  bench.program(0, 100, 32768).program(0, 100, 32768).read(500).program(600, 100).finish();
  CHECK(bench.programs_done == Ticks{132.0, 232.0, 2232.0 + 50 + 100});
  CHECK(bench.ready == Ticks{800.0 + 54});
  CHECK(bench.dies().served == 5);
}

TEST_CASE("the spread of sensing times keeps their mean") {
  DeviceParams d = plain_device();
  d.read_time_spread = 0.5;
  ArrayBench bench(d);
  constexpr int kReads = 40'000;
  for (int i = 0; i < kReads; ++i) {
    bench.read(0);
  }
  bench.finish();
  // The variance of exp(sigma z - sigma^2 / 2) is exp(sigma^2) - 1; four standard errors.
  const double mean = bench.dies().busy_s / kReads / (50 * kTick);
  CHECK(std::abs(mean - 1.0) < 4.0 * std::sqrt((std::exp(0.25) - 1.0) / kReads));
}

}  // namespace
}  // namespace kvr::flash

// The way of a command through the device `queueing`, worked out by hand on the plain device: what each stage
// adds, and what commands do to each other there. Times in ticks (device_runs.hpp).
#include <doctest/doctest.h>

#include <limits>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/models/flash/device_runs.hpp"

namespace kvr::flash {
namespace {

using test::Bench;
using test::kHome;
using test::kKiB;
using test::kTick;
using test::plain_device;
using test::plain_host;
using Ticks = std::vector<double>;

HostCost two_threads() {
  HostCost host = plain_host();
  host.threads = 2;
  return host;
}

TEST_CASE("one read is the sum of its stages") {
  Bench bench(plain_device());
  bench.read(0, 4 * kKiB, 1000.0);
  std::vector<IoDone> done = test::drain(bench.device());
  REQUIRE(done.size() == 1);
  // submit 4, firmware 2, delay 5, sense 50, channel 4, link 1 + 0.5; complete 4, wake 20
  CHECK(done[0].start_s == 1000.0 * kTick);
  CHECK(done[0].device_s == 1066.5 * kTick);
  CHECK(done[0].done_s == 1090.5 * kTick);
}

TEST_CASE("who looks ahead only up to a time may submit from then on, and nothing else changes") {
  Bench at_once(plain_device());
  at_once.read(0, 4 * kKiB).read(64 * kKiB, 4 * kKiB, 40.0);
  Bench in_turn(plain_device());
  in_turn.read(0, 4 * kKiB);
  CHECK(in_turn.device().next_event_up_to_s(40.0 * kTick) > 40.0 * kTick);
  in_turn.read(64 * kKiB, 4 * kKiB, 40.0);
  CHECK(in_turn.ends() == at_once.ends());
  CHECK(in_turn.device().next_event_up_to_s(1000.0 * kTick) == std::numeric_limits<double>::infinity());

  Bench too_far(plain_device());
  too_far.read(0, 4 * kKiB);
  CHECK(too_far.device().next_event_up_to_s(200.0 * kTick) == 90.5 * kTick);
  CHECK_THROWS_AS(too_far.read(64 * kKiB, 4 * kKiB, 40.0), InternalError);
}

TEST_CASE("the host pays for bytes when it submits, and for cycles at its clock") {
  HostCost host = plain_host();
  host.per_byte_s = 2.0 * kTick / 4096.0;
  host.cycles_per_command = 6.0;
  host.clock_hz = 1.0 / kTick;
  Bench bench(plain_device(), host);
  bench.read(0, 8 * kKiB);
  // (8 + 6) / 2 + 2 * 2 to submit, 7 to complete
  CHECK(bench.ends() == Ticks{11.0 + 2 + 5 + 50 + 8 + 2.5 + 7 + 20});
  CHECK(bench.device().stats().host_busy_s == 18.0 * kTick);
}

TEST_CASE("a read across the border of stripes works two dies at once, each over its own channel") {
  DeviceParams d = plain_device();
  d.channels = 2;
  CHECK(Bench(d).read(60 * kKiB, 8 * kKiB).ends() == Ticks{11.0 + 50 + 4 + 1.5 + 1 + kHome});
  d.channels = 1;
  d.dies_per_channel = 2;
  CHECK(Bench(d).read(60 * kKiB, 8 * kKiB).ends() == Ticks{11.0 + 50 + 8 + 1 + kHome});
  d.dies_per_channel = 1;
  CHECK(Bench(d).read(60 * kKiB, 8 * kKiB).ends() == Ticks{11.0 + 100 + 4 + 1 + kHome});
}

TEST_CASE("a fragment of 64 KiB enters the link after its first 16 KiB") {
  // Its last 16 KiB follow 4 ticks behind the channel, which takes 64.
  CHECK(Bench(plain_device()).read(0, 64 * kKiB).ends() == Ticks{11.0 + 50 + 64 + 4 + kHome});
  DeviceParams slow = plain_device();
  slow.link = 0x1p29;
  slow.read_bandwidth = 0x1p29;
  // The link takes 128 and the command 0.5, from 16 ticks after the channel began.
  CHECK(Bench(slow).read(0, 64 * kKiB).ends() == Ticks{11.0 + 50 + 16 + 128.5 + kHome});
  // 16 KiB are one chunk: 16 on the channel, then 32.
  CHECK(Bench(slow).read(0, 16 * kKiB).ends() == Ticks{11.0 + 50 + 16 + 32.5 + kHome});
}

TEST_CASE("a request beyond max_transfer is split into commands and ends with the last of them") {
  DeviceParams d = plain_device();
  d.max_transfer = 64 * kKiB;
  Bench bench(d);
  bench.read(0, 128 * kKiB);
  // The second is submitted at 4..8, at the die at 15, sensed 61..111; the registers are full until 125; its
  // last chunk is over the link at 189 + 4.
  CHECK(bench.ends() == Ticks{189.0 + 4 + kHome});
  const DeviceStats stats = bench.device().stats();
  CHECK(stats.commands == 2);
  CHECK(stats.reads == 1);
  CHECK(stats.read_bytes == 128 * kKiB);
}

TEST_CASE("heat slows channel and link and nothing else") {
  DeviceParams d = plain_device();
  d.heat = "hot";
  d.hot_bandwidth = 0.5;
  CHECK(Bench(d).read(0, 4 * kKiB).ends() == Ticks{11.0 + 50 + 8 + 2.5 + kHome});
}

TEST_CASE("half duplex lets a write keep a read off the link, full duplex does not") {
  DeviceParams d = plain_device();
  // The write crosses the link at 15..143.5; the read is ready at 65.
  CHECK(Bench(d).read(0, 4 * kKiB).write(0, 512 * kKiB).ends() == Ticks{66.5 + kHome, 143.5 + kHome});
  d.duplex = "half";
  // The read crosses at 143.5..145; the thread completes the write until 147.5.
  CHECK(Bench(d).read(0, 4 * kKiB).write(0, 512 * kKiB).ends() == Ticks{147.5 + kHome, 143.5 + kHome});
}

TEST_CASE("with a queue depth of one, commands go one after another") {
  DeviceParams d = plain_device();
  d.queue_depth = 1;
  // The slot is free at 66.5, but the thread completes the first until 70.5.
  CHECK(Bench(d).read(0, 4 * kKiB).read(0, 4 * kKiB).ends() == Ticks{90.5, 70.5 + 66.5 + kHome});
  // Another thread takes the slot at once.
  CHECK(Bench(d, two_threads()).read(0, 4 * kKiB, 0.0, 0).read(0, 4 * kKiB, 0.0, 1).ends() ==
        Ticks{90.5, 66.5 + 66.5 + kHome});
}

TEST_CASE("every hardware queue has slots of its own") {
  DeviceParams d = plain_device();
  d.queue_depth = 1;
  d.hw_queues = 2;
  d.channels = 2;
  // Only the firmware is shared: the second reaches its die 2 later.
  CHECK(Bench(d, two_threads()).read(0, 4 * kKiB, 0.0, 0).read(64 * kKiB, 4 * kKiB, 0.0, 1).ends() ==
        Ticks{90.5, 92.5});
}

TEST_CASE("threads wait for a slot in line") {
  DeviceParams d = plain_device();
  d.queue_depth = 1;
  HostCost host = plain_host();
  host.threads = 3;
  Bench bench(d, host);
  bench.read(0, 4 * kKiB, 0.0, 2).read(0, 4 * kKiB, 1.0, 1).read(0, 4 * kKiB, 2.0, 0);
  CHECK(bench.ends() == Ticks{90.5, 66.5 + 90.5, 2 * 66.5 + 90.5});
}

TEST_CASE("firmware servers work side by side") {
  DeviceParams d = plain_device();
  d.channels = 2;
  d.firmware_time = 20 * kTick;
  const auto ends = [&] { return Bench(d).read(0, 4 * kKiB).read(64 * kKiB, 4 * kKiB).ends(); };
  // Submitted at 4 and 8; one server is free for the second at 24.
  CHECK(ends() == Ticks{24.0 + 5 + 50 + 4 + 1.5 + kHome, 44.0 + 5 + 50 + 4 + 1.5 + kHome});
  d.firmware_servers = 2;
  CHECK(ends() == Ticks{24.0 + 5 + 50 + 4 + 1.5 + kHome, 28.0 + 5 + 50 + 4 + 1.5 + kHome});
}

/// Three reads of both threads in turn, then one of thread 1 much later. A saturated 4 KiB read takes 6 of
/// hit_time and 4 of read_bandwidth, so the lock is free again after (1 + 0.5) * 10.
Ticks contended_ends(double window_ticks) {
  DeviceParams d = plain_device();
  d.contention = 0.5;
  d.contention_window = window_ticks * kTick;
  d.channels = 4;
  Bench bench(d, two_threads());
  bench.read(0, 4 * kKiB, 0.0, 0).read(64 * kKiB, 4 * kKiB, 1.0, 1).read(128 * kKiB, 4 * kKiB, 2.0, 0);
  bench.read(192 * kKiB, 4 * kKiB, 1000.0, 1);
  return bench.ends();
}

TEST_CASE("threads on one queue wait for its lock while others submit") {
  // Submitted at 4, 5, 8 and 1004. The first meets nobody; the second has the lock at once, until 20, the
  // third after it. The firmware takes the first at 4..6, the second at 6..8, the third at 20..22.
  CHECK(contended_ends(100.0) == Ticks{90.5, 92.5, 106.5, 1090.5});
}

TEST_CASE("threads that submit far apart do not contend") {
  CHECK(contended_ends(0.5) == Ticks{90.5, 92.5, 94.5, 1090.5});
}

TEST_CASE("a command that waits for the lock leaves the firmware to those that do not") {
  DeviceParams d = plain_device();
  d.contention = 1.0;  // the lock is free again after 2 * 10
  d.contention_window = 3 * kTick;
  d.channels = 4;
  Bench bench(d, two_threads());
  bench.read(0, 4 * kKiB, 0.0, 0).read(64 * kKiB, 4 * kKiB, 1.0, 1);
  bench.read(128 * kKiB, 4 * kKiB, 2.0, 0).read(192 * kKiB, 4 * kKiB, 14.0, 1);
  // Submitted at 4, 5, 8 and 18: the second holds the lock at 5..25, the third waits for it, and the fourth,
  // 10 after the third, meets nobody.
  CHECK(bench.ends() == Ticks{90.5, 92.5, 25.0 + 2 + 60.5 + kHome, 18.0 + 2 + 60.5 + kHome});
}

TEST_CASE("energy is what was done times what it costs") {
  DeviceParams d = plain_device();
  d.mapping = "lru";
  d.map_coverage = 4.0 * 1024 * 4096;
  d.page = 16 * kKiB;
  d.max_transfer = 64 * kKiB;
  d.slc_pool = 64 * kKiB;
  d.write_amplification = 1.5;
  d.idle_power = 0.125;
  Bench bench(d);
  bench.read(0, 80 * kKiB).write(0, 128 * kKiB).ends();
  bench.pass(1e6);
  const DeviceEnergy energy = bench.device().energy(1.0);
  CHECK(energy.idle_j == 0.125);
  CHECK(energy.command_j == doctest::Approx(4 * d.command_energy));
  CHECK(energy.read_j == doctest::Approx(80 * 1024 * 8 * d.read_energy));
  CHECK(energy.mapping_j == doctest::Approx(1 * d.map_read_energy));
  CHECK(energy.write_j == doctest::Approx(64 * 1024 * 8 * (d.slc_write_energy + 1.5 * d.tlc_write_energy)));
  CHECK(energy.total_j() ==
        energy.idle_j + energy.command_j + energy.read_j + energy.mapping_j + energy.write_j);
}

TEST_CASE("resources tell what they served, how long they worked and who waited") {
  Bench bench(plain_device());
  bench.read(0, 4 * kKiB).read(0, 4 * kKiB).ends();
  const DeviceStats stats = bench.device().stats();
  const auto check = [&](const char* name, std::int64_t served, double busy, double waited) {
    CAPTURE(name);
    const ResourceStats one = test::resource(stats, name);
    CHECK(one.served == served);
    CHECK(one.busy_s == busy * kTick);
    CHECK(one.waited_s == waited * kTick);
  };
  // The second read comes to the die at 15 and is sensed from 61; the rest of its way is free.
  check("host", 4, 16.0, 4.0);
  check("firmware", 2, 4.0, 0.0);
  check("dies", 2, 100.0, 46.0);
  check("channels", 2, 8.0, 0.0);
  check("link_out", 2, 3.0, 0.0);
  check("link_in", 0, 0.0, 0.0);
  // Slots from the begin of submission to the end in the device: 0..66.5 and 4..116.5.
  check("slots", 2, 66.5 + 112.5, 4.0);
  // Outstanding: 2 until 90.5, then 1 until 140.5.
  CHECK(stats.outstanding_s == (90.5 + 140.5) * kTick);
  CHECK(stats.response_s == stats.outstanding_s);
  CHECK(stats.busy_s == 140.5 * kTick);
  const ResourceStats dies = test::resource(stats, "dies");
  CHECK(dies.utilisation(200 * kTick) == 0.5);
  CHECK(dies.mean_queue(92 * kTick) == 0.5);
}

TEST_CASE("nothing is submitted before what was advanced to, and time may pass without end") {
  Bench bench(plain_device());
  bench.pass(100.0);
  CHECK_THROWS_AS(bench.read(0, 4 * kKiB, 99.0), InternalError);
  bench.read(0, 4 * kKiB, 100.0);
  std::vector<IoDone> done;
  bench.device().advance(std::numeric_limits<double>::infinity(), done);
  REQUIRE(done.size() == 1);
  CHECK(done[0].done_s == 190.5 * kTick);
}

}  // namespace
}  // namespace kvr::flash

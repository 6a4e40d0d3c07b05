// Energy of a device by hand and as a property of any requests.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "models/flash/device_energy.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash {
namespace {

using doctest::Approx;

std::unique_ptr<FlashDevice> make(const std::string& type, const DeviceParams& device) {
  return Registry<FlashDevice>::instance().create(type, values_of(device_param_table(), device),
                                                  {test::fit_host(device), 1});
}

/// Serves `requests` and returns when the last is done.
double serve(FlashDevice& device, const std::vector<IoRequest>& requests) {
  device.submit(requests);
  std::vector<IoDone> done;
  double now_s = 0.0;
  while (done.size() < requests.size()) {
    now_s = device.next_event_s();
    device.advance(now_s, done);
  }
  return now_s;
}

std::vector<IoRequest> reads(std::int64_t count, std::int64_t bytes) {
  std::vector<IoRequest> requests;
  for (std::int64_t i = 0; i < count; ++i) {
    requests.push_back({static_cast<std::uint64_t>(i), IoKind::read, 0, i << 24, bytes, 0.0});
  }
  return requests;
}

TEST_CASE("the array senses whole pages") {
  const DeviceParams device;
  CHECK(sensed_bytes(device, 4096) == 16384.0);
  CHECK(sensed_bytes(device, 16384) == 16384.0);
  CHECK(sensed_bytes(device, 24576) == 32768.0);
  CHECK(sensed_bytes(device, 524288) == 524288.0);
}

TEST_CASE("a 4 KiB read costs its page, its command and the idle power meanwhile") {
  for (const std::string type : {"analytic", "queueing"}) {
    CAPTURE(type);
    const auto device = make(type, test::shipped_device("ufs40"));
    const double end_s = serve(*device, reads(1, 4096));
    const DeviceEnergy energy = device->energy(end_s);
    CHECK(energy.read_j == Approx(6.5536e-6));  // 16384 B * 8 * 50 pJ
    CHECK(energy.command_j == Approx(1e-6));
    CHECK(energy.idle_j == Approx(0.1 * end_s));
    CHECK(energy.mapping_j == 0.0);
    CHECK(energy.write_j == 0.0);
    CHECK(energy.total_j() == Approx(7.5536e-6 + 0.1 * end_s));
  }
}

TEST_CASE("each mapping miss adds one page, each written bit its program") {
  const DeviceParams device = test::shipped_device("ufs40");
  const DeviceStats stats{
      .commands = 10, .map_misses = 2.5, .slc_bytes = 1e6, .tlc_bytes = 1e5, .resources = {}};
  const DeviceEnergy energy = energy_of(device, stats, 2.0);
  CHECK(energy.idle_j == Approx(0.2));
  CHECK(energy.command_j == Approx(10e-6));
  CHECK(energy.mapping_j == Approx(13.5e-6));
  CHECK(energy.write_j == Approx(8e6 * 130e-12 + 8e5 * 340e-12));
  CHECK(energy.read_j == 0.0);
}

TEST_CASE(
    "a token that reads 100 entries of 24 KiB in 32 layers from UFS 4.0 costs 32 mJ, more by whole pages") {
  // 3200 * 24576 B * 8 * 50 pJ = 31.46 mJ for the bytes asked for. The array senses two pages of 16 KiB for
  // each entry, a third more; 3200 commands add 3.2 mJ.
  const auto device = make("analytic", test::shipped_device("ufs40"));
  const double end_s = serve(*device, reads(3200, 24576));
  const DeviceEnergy energy = device->energy(end_s);
  CHECK(device->stats().read_bytes == 78'643'200);
  CHECK(energy.read_j * 0.75 == Approx(31.45728e-3));
  CHECK(energy.read_j == Approx(41.94304e-3));
  CHECK(energy.command_j == Approx(3.2e-3));
}

TEST_CASE("energy (both): it is non-negative, adds up over time, and is never below idle power times time") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "tests/models/device_energy");
    const std::vector<std::string> parts = {"ufs40", "ufs31", "ufs21", "emmc51", "nvme3", "sd_a2"};
    const DeviceParams params = test::shipped_device(parts[rng.below(parts.size())]);
    const auto device = make(rng.below(2) == 0 ? "analytic" : "queueing", params);
    device->set_working_set(std::int64_t{1} << (24 + rng.below(12)));
    double now_s = 0.0;
    double sum_j = 0.0;
    double before_j = 0.0;
    for (int batch = 0; batch < 8; ++batch) {
      std::vector<IoRequest> requests;
      const std::uint64_t count = 1 + rng.below(12);
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto kind = rng.below(4) == 0 ? IoKind::write : IoKind::read;
        const auto offset = static_cast<std::int64_t>(rng.below(1 << 18)) * 4096;
        requests.push_back({static_cast<std::uint64_t>(batch) * 100 + i, kind, 0, offset,
                            static_cast<std::int64_t>(1 + rng.below(200)) * 4096, now_s});
      }
      now_s = serve(*device, requests);
      const DeviceEnergy energy = device->energy(now_s);
      for (const double part :
           {energy.idle_j, energy.command_j, energy.read_j, energy.mapping_j, energy.write_j}) {
        REQUIRE(part >= 0.0);
      }
      REQUIRE(energy.total_j() >= before_j);
      sum_j += energy.total_j() - before_j;
      before_j = energy.total_j();
      REQUIRE(before_j >= params.idle_power * now_s);
    }
    CHECK(sum_j == Approx(before_j));
  }
}

}  // namespace
}  // namespace kvr::flash

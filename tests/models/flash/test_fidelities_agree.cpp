// The closed formulas against the event-driven device, and the event-driven device against a grid computed by
// an independent prototype of the same model.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "sim/base/rng.hpp"
#include "tests/models/flash/anchor_rig.hpp"
#include "tests/models/flash/shipped_config.hpp"

namespace kvr::flash::test {
namespace {

constexpr double kRange = 8e9;

/// Seconds until the last of `count` random reads, submitted together, is done.
double batch_s(const Rig& rig, std::int64_t count, std::int64_t bytes, std::uint64_t seed) {
  const auto device = rig.make(1, seed);
  device->set_working_set(static_cast<std::int64_t>(kRange));
  Rng rng = Rng::stream(seed, "tests/models/fidelities_agree");
  const auto places = static_cast<std::uint64_t>((kRange - static_cast<double>(bytes)) / 4096.0);
  std::vector<IoRequest> batch;
  for (std::int64_t i = 0; i < count; ++i) {
    batch.push_back({.id = static_cast<std::uint64_t>(i),
                     .offset_bytes = static_cast<std::int64_t>(rng.below(places)) * 4096,
                     .length_bytes = bytes});
  }
  device->submit(batch);
  std::vector<IoDone> done;
  while (done.size() < batch.size()) {
    device->advance(device->next_event_s(), done);
  }
  return done.back().done_s;
}

double mean_batch_s(const Rig& rig, std::int64_t count, std::int64_t bytes) {
  const std::int64_t repeats = std::max<std::int64_t>(40, 2000 / count);
  double sum_s = 0.0;
  for (std::int64_t seed = 0; seed < repeats; ++seed) {
    sum_s += batch_s(rig, count, bytes, static_cast<std::uint64_t>(seed));
  }
  return sum_s / static_cast<double>(repeats);
}

TEST_CASE("the formulas time 140 batches within 6 % at the median and 25 % at worst") {
  std::vector<double> errors;
  for (const std::string name : {"emmc51", "ufs21", "ufs31", "ufs40", "nvme3"}) {
    const Rig rig(Fidelity::queueing, name);
    const DeviceParams device = kvr::test::shipped_device(name);
    const ReadPath path = read_path(device, kvr::test::fit_host(device), kRange);
    for (const std::int64_t kib : {4, 24, 64, 256}) {
      for (const std::int64_t count : {1, 4, 16, 32, 64, 128, 512}) {
        const std::vector<std::int64_t> sizes(static_cast<std::size_t>(count), kib * 1024);
        const double error =
            std::abs(flash::batch_s(path, sizes) / mean_batch_s(rig, count, kib * 1024) - 1.0);
        CAPTURE(name);
        CAPTURE(kib);
        CAPTURE(count);
        CHECK(error <= 0.25);
        errors.push_back(error);
      }
    }
  }
  REQUIRE(errors.size() == 140);
  std::ranges::nth_element(errors, errors.begin() + 70);
  CHECK(errors[70] <= 0.06);
}

TEST_CASE("ufs40 agrees with the prototype's grid: 62 of 66 cells within 5 %, all within 10 %") {
  // The four cells beyond 5 % are reads of several dies and few of them: 128 KiB alone (9 % slower here,
  // where the registers of a die hold one stripe), 256 KiB at depth 4 (6 % slower), and 1 MiB at depths 1 and
  // 2 (10 and 7 % faster: its two commands go to the device one right after the other).
  std::ifstream file(std::string(KVR_SOURCE_DIR) + "/tests/golden/ufs40_grid.csv");
  std::string line;
  std::getline(file, line);
  const Rig rig(Fidelity::queueing, "ufs40");
  int cells = 0;
  int close = 0;
  while (std::getline(file, line)) {
    CAPTURE(line);
    std::replace(line.begin(), line.end(), ',', ' ');
    double kib = 0.0;
    std::int64_t depth = 0;
    double range_mib = 0.0;
    double expected = 0.0;
    std::istringstream(line) >> kib >> depth >> range_mib >> expected;
    const double simulated =
        rig.megabytes_per_s({.kib = kib, .depth = depth, .range_bytes = range_mib * kMiB});
    CHECK(simulated == doctest::Approx(expected).epsilon(0.1));
    close += std::abs(simulated / expected - 1.0) <= 0.05 ? 1 : 0;
    ++cells;
  }
  CHECK(cells == 66);
  CHECK(close >= 62);
}

}  // namespace
}  // namespace kvr::flash::test

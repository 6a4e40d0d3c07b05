// The other shipped devices against published measurements, at both fidelities that simulate. Bandwidths in
// MB/s (1e6 B/s), sizes in KiB. Where a fidelity misses a band, it is asserted where it lies, with the
// reason.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/models/flash/anchor_rig.hpp"

namespace kvr::flash::test {
namespace {

using doctest::Approx;

constexpr Fidelity kBoth[] = {Fidelity::analytic, Fidelity::queueing};

TEST_CASE("ufs21: 4 KiB reads over 1 to 32 GB follow the measured decline") {
  const std::vector<double> gigabytes = {1, 4, 8, 16, 32};
  const std::vector<double> measured = {300.9, 179.4, 162.5, 156.3, 153.3};
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    const Rig rig(fidelity, "ufs21");
    for (std::size_t i = 0; i < measured.size(); ++i) {
      CAPTURE(gigabytes[i]);
      CHECK(rig.megabytes_per_s({.depth = 16, .range_bytes = gigabytes[i] * kGiB}) ==
            Approx(measured[i]).epsilon(0.03));
    }
  }
}

TEST_CASE("ufs21: with the mapping in host memory the range does not matter") {
  const std::vector<double> gigabytes = {1, 4, 8, 16, 32};
  const std::vector<double> measured = {294.8, 293.5, 294.9, 293.5, 277.4};
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    Rig rig(fidelity, "ufs21");
    rig.device().map_coverage = std::numeric_limits<double>::infinity();
    const double near = rig.megabytes_per_s({.depth = 16, .range_bytes = kGiB});
    for (std::size_t i = 0; i < measured.size(); ++i) {
      CAPTURE(gigabytes[i]);
      const double rate = rig.megabytes_per_s({.depth = 16, .range_bytes = gigabytes[i] * kGiB});
      CHECK(rate == Approx(near).epsilon(0.06));
      CHECK(rate == Approx(measured[i]).epsilon(0.1));
    }
  }
}

struct FioRow {
  double kib;
  std::int64_t depth;
  std::int64_t threads;
  double mib_per_s;
};

/// Single-threaded rows of the Pixel 4 grid but one that stays below a smaller depth's (64 KiB at depth 64),
/// and rows of several threads at depth 1 up to where threads contend.
const std::vector<FioRow> kPixel4 = {
    {4, 1, 1, 12.8},    {4, 1, 2, 25.1},    {4, 1, 4, 53.3},     {4, 1, 8, 85.9},    {4, 16, 1, 138.0},
    {4, 64, 1, 142.0},  {64, 1, 1, 101.0},  {64, 1, 2, 199.0},   {64, 16, 1, 400.0}, {256, 1, 1, 209.0},
    {256, 1, 2, 411.0}, {256, 1, 4, 439.0}, {256, 16, 1, 446.0}, {256, 64, 1, 449.0}};

struct Errors {
  double rms = 0.0;
  double worst = 0.0;
};

Errors errors_on(const Rig& rig, const std::vector<FioRow>& rows) {
  Errors errors;
  for (const FioRow& row : rows) {
    const double simulated =
        rig.megabytes_per_s(
            {.kib = row.kib, .depth = row.depth, .range_bytes = kGiB, .threads = row.threads}) *
        1e6 / kMiB;
    const double error = std::abs(simulated / row.mib_per_s - 1.0);
    errors.rms += error * error / static_cast<double>(rows.size());
    errors.worst = std::max(errors.worst, error);
  }
  errors.rms = std::sqrt(errors.rms);
  return errors;
}

TEST_CASE("ufs21_pixel4: 14 rows of fio within 10 % RMS, none off by more than 20 %") {
  const Errors events = errors_on(Rig(Fidelity::queueing, "ufs21_pixel4"), kPixel4);
  CHECK(events.rms <= 0.1);
  CHECK(events.worst <= 0.2);
}

TEST_CASE("ufs21_pixel4: eight threads on one queue reach 0.62 to 0.77 of one") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    const Rig rig(fidelity, "ufs21_pixel4");
    const double one = rig.requests_per_s({.depth = 16, .range_bytes = kGiB});
    for (const std::int64_t depth : {16, 64}) {
      CAPTURE(depth);
      CHECK(
          within(rig.requests_per_s({.depth = depth, .range_bytes = kGiB, .threads = 8}) / one, 0.62, 0.77));
    }
  }
}

TEST_CASE("ufs31: 2000 to 2100 MB/s, 75 to 100 k reads per second, 100 to 150 us alone") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    const Rig rig(fidelity, "ufs31");
    CHECK(within(rig.megabytes_per_s({.kib = 512, .sequential = true}), 0.9 * 2000.0, 1.1 * 2100.0));
    CHECK(within(rig.requests_per_s({}), 75e3, 100e3));
    CHECK(within(rig.latency_us({.depth = 1}), 100.0, 150.0));
  }
}

TEST_CASE("emmc51: 250 MB/s, 11 k reads per second with its command queue, nothing gained without") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    const Rig rig(fidelity, "emmc51");
    CHECK(rig.megabytes_per_s({.kib = 512, .sequential = true}) == Approx(250.0).epsilon(0.15));
    CHECK(rig.requests_per_s({}) == Approx(11e3).epsilon(0.15));
    const Rig none(fidelity, "emmc51_nocmdq");
    CHECK(none.requests_per_s({}) < 1.3 * none.requests_per_s({.depth = 1}));
  }
}

TEST_CASE("nvme3: 3.3 to 3.5 GB/s, 350 to 370 k reads per second, 60 to 75 us alone") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    const Rig rig(fidelity, "nvme3");
    CHECK(within(rig.megabytes_per_s({.kib = 512, .sequential = true}), 0.9 * 3300.0, 1.1 * 3500.0));
    CHECK(within(rig.requests_per_s({.depth = 64, .threads = 4}), 0.9 * 350e3, 1.1 * 370e3));
    CHECK(within(rig.latency_us({.depth = 1}), 60.0, 75.0));
  }
}

TEST_CASE("nvme4: 7 GB/s and about a million reads per second") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    const Rig rig(fidelity, "nvme4");
    CHECK(rig.megabytes_per_s({.kib = 512, .sequential = true}) == Approx(7000.0).epsilon(0.1));
    CHECK(within(rig.requests_per_s({.depth = 64, .threads = 4}), 0.9 * 0.95e6, 1.1 * 1.0e6));
  }
}

TEST_CASE(
    "sd_a2_serial: three and a half to six thousand reads per second, with its command queue and without") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    Rig rig(fidelity, "sd_a2_serial");
    const Point point{.depth = 64, .range_bytes = 2.0 * kGiB, .threads = 2};
    const double queued = rig.requests_per_s(point);
    CHECK(within(queued, 3500.0, 6000.0));
    rig.device().queue_depth = 1;
    CHECK(within(queued / rig.requests_per_s(point), 0.98, 1.12));
  }
}

TEST_CASE("sd_a2: 5 k reads per second; its command queue gains two to three times") {
  for (const Fidelity fidelity : kBoth) {
    CAPTURE(std::string(name_of(fidelity)));
    Rig rig(fidelity, "sd_a2");
    const double queued = rig.requests_per_s({});
    CHECK(queued == Approx(5000.0).epsilon(0.3));
    rig.device().queue_depth = 1;
    CHECK(within(queued / rig.requests_per_s({}), 0.7 * 2.0, 1.3 * 3.0));
  }
}

}  // namespace
}  // namespace kvr::flash::test

// The fit: its closed parts by hand, and parameters known beforehand that it must find again.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "models/flash/fit/closed_fit.hpp"
#include "models/flash/fit/device_fit.hpp"
#include "models/flash/fit/judge.hpp"
#include "models/flash/fit/least_squares.hpp"
#include "models/flash/fit/nelder_mead.hpp"
#include "models/flash/fit/other_rows.hpp"
#include "models/flash/fit/predict.hpp"
#include "sim/error.hpp"
#include "sim/rng.hpp"
#include "tests/models/shipped_config.hpp"

namespace kvr::flash::fit {
namespace {

using doctest::Approx;

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr std::int64_t kGiB = 1024 * kMiB;

Row random_reads(std::int64_t bytes, std::int64_t depth, std::int64_t range) {
  Row row;
  row.place = row.name = "row";
  row.bytes = row.align_bytes = bytes;
  row.depth = depth;
  row.range_bytes = range;
  return row;
}

/// Sets the rate and what follows from it, by Little's law without error.
void measure(Row& row, double rate) {
  row.requests_per_s = rate;
  row.bytes_per_s = rate * static_cast<double>(row.bytes);
  row.latency_s = static_cast<double>(row.outstanding()) / rate;
}

/// Sequential reads, sizes alone and at depth, ranges, depths: what identifies most.
std::vector<Row> full_set() {
  std::vector<Row> rows;
  for (const std::int64_t depth : {1, 8, 32}) {
    rows.push_back(random_reads(kMiB, depth, kGiB));
    rows.back().sequential = true;
  }
  for (const std::int64_t kib : {4, 8, 16, 32, 64, 128, 256}) {
    rows.push_back(random_reads(kib * kKiB, 1, 128 * kMiB));
    rows.push_back(random_reads(kib * kKiB, 32, 8 * kGiB));
  }
  for (const std::int64_t mib : {128, 256, 512, 1024, 2048, 4096, 32768}) {
    rows.push_back(random_reads(4 * kKiB, 32, mib * kMiB));
  }
  for (const std::int64_t depth : {2, 4, 8, 16, 64}) {
    rows.push_back(random_reads(4 * kKiB, depth, 128 * kMiB));
  }
  return rows;
}

double noisy(double value, double sigma, Rng& rng) {
  return value * std::exp(sigma * rng.normal());
}

TEST_CASE("a line is the least sum of squared relative residuals") {
  const std::vector<Point> exact = {{0, 2}, {4, 10}};
  const auto line = fit_line(exact);
  REQUIRE(line.has_value());
  CHECK(line->at_zero == Approx(2));
  CHECK(line->slope == Approx(2));
  // Normal equations with weights 1, 1, 1/4:  2.25 a + 1.5 b = 2.5,  1.5 a + 2 b = 2.
  const auto between = fit_line(std::vector<Point>{{0, 1}, {1, 1}, {2, 2}});
  REQUIRE(between.has_value());
  CHECK(between->at_zero == Approx(8.0 / 9.0));
  CHECK(between->slope == Approx(1.0 / 3.0));
  CHECK_FALSE(fit_line(std::vector<Point>{{1, 1}, {1, 2}}).has_value());
  // Slope 1 given: a = (1 * (1 - 0) + 1/4 * (2 - 1)) / (1 + 1/4).
  CHECK(fit_at_zero(std::vector<Point>{{0, 1}, {1, 2}}, 1.0) == Approx(1.0));
}

TEST_CASE("the service time behind a rate inverts the closed network") {
  // S = 1, Z = 1, two customers: X(1) = 1/2, Q(1) = 1/2, R(2) = 3/2, X(2) = 2 / (3/2 + 1).
  CHECK(closed_network_per_s(1.0, 1.0, 2) == Approx(0.8));
  CHECK(service_behind(0.8, 2.0, 2).value() == Approx(1.0));
  CHECK_FALSE(service_behind(0.5, 2.0, 1).has_value());
  CHECK_FALSE(service_behind(1.1, 2.0, 2).has_value());  // more than two requests in 2 s
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "service_behind");
    const double latency = std::exp(-12.0 + 4.0 * rng.uniform());
    const double service = latency * (0.02 + 0.98 * rng.uniform());
    const auto customers = static_cast<std::int64_t>(2 + rng.below(64));
    const double rate = closed_network_per_s(service, latency - service, customers);
    REQUIRE(service_behind(rate, latency, customers).value() == Approx(service).epsilon(1e-6));
  }
}

TEST_CASE("ranges give coverage, hits and misses of Samsung's published series") {
  // 64 GB UFS 2.1, 4 KiB, 16 threads, HPB off (D. Park, linux-scsi 2020); the closed form in the source's
  // summary: coverage 1.29 GB, hit 13.6 us, miss 13.7 us, 0.2 % RMS, ranges in units of 1e9 B.
  const std::vector<double> gigabytes = {1, 4, 8, 16, 32};
  const std::vector<double> megabytes_per_s = {300.9, 179.4, 162.5, 156.3, 153.3};
  std::vector<Point> points;
  for (std::size_t i = 0; i < gigabytes.size(); ++i) {
    points.push_back({gigabytes[i] * 1e9, 4096.0 / (megabytes_per_s[i] * 1e6)});
  }
  const auto fit = fit_ranges(points);
  REQUIRE(fit.has_value());
  CHECK(fit->coverage_bytes == Approx(1.29e9).epsilon(0.02));
  CHECK(fit->hit_s == Approx(13.6e-6).epsilon(0.01));
  CHECK(fit->miss_s == Approx(13.7e-6).epsilon(0.01));
  CHECK(fit->rms < 0.0025);  // 0.2 % to one digit
  CHECK(fit->lowest_bytes <= fit->coverage_bytes);
  CHECK(fit->highest_bytes >= fit->coverage_bytes);
  CHECK_FALSE(fit_ranges(std::vector<Point>(points.begin(), points.begin() + 2)).has_value());
}

TEST_CASE("the simplex finds the minimum of Rosenbrock's valley") {
  const auto valley = [](std::span<const double> x) {
    return 100.0 * std::pow(x[1] - x[0] * x[0], 2) + std::pow(1.0 - x[0], 2);
  };
  const Minimum minimum = nelder_mead(valley, {-1.2, 1.0}, 0.5, 400, 1e-14);
  CHECK(minimum.at[0] == Approx(1.0).epsilon(1e-4));
  CHECK(minimum.at[1] == Approx(1.0).epsilon(1e-4));
}

TEST_CASE("the closed fit finds the parameters that made the rows, with 1 % of noise") {
  const DeviceParams truth = test::shipped_device("ufs21");
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "closed fit");
    std::vector<Row> rows = full_set();
    for (Row& row : rows) {
      measure(row, noisy(predict_closed(truth, row), 0.01, rng));
    }
    DeviceParams base = test::shipped_device("ufs40");
    base.stripe = truth.stripe;
    base.channel_bandwidth = truth.channel_bandwidth;
    base.max_transfer = truth.max_transfer;
    base.map_latency = truth.map_latency;
    Model model = fit_closed(rows, base);
    refit_latency(rows, model);
    const DeviceParams& d = model.device;
    // The largest of several noisy rates is above their mean by about the noise.
    CHECK(d.read_bandwidth == Approx(truth.read_bandwidth).epsilon(0.04));
    CHECK(d.latency == Approx(truth.latency).epsilon(0.02));
    CHECK(d.latency_bandwidth == Approx(truth.latency_bandwidth).epsilon(0.10));
    CHECK(d.hit_time == Approx(truth.hit_time).epsilon(0.05));
    CHECK(d.miss_time == Approx(truth.miss_time).epsilon(0.08));
    CHECK(d.map_coverage == Approx(truth.map_coverage).epsilon(0.10));
    CHECK(model.findings.at("map_coverage").origin == Origin::fitted);
    CHECK(model.findings.at("smoothing").origin == Origin::fitted);
  }
}

TEST_CASE("contention is found from reads of several threads") {
  Model model;
  model.device = test::shipped_device("ufs21_pixel4");
  model.device.contention = 0.42;
  std::vector<Row> rows;
  for (const std::int64_t threads : {2, 4, 8}) {
    Row row = random_reads(4 * kKiB, 16, kGiB);
    row.threads = threads;
    measure(row, predict_closed(model.device, row));
    rows.push_back(row);
  }
  model.device.contention = 0.0;
  fit_contention(rows, model);
  CHECK(model.device.contention == Approx(0.42));
  fit_contention({}, model);
  CHECK(model.findings.at("contention").how == "no reads of several threads");
}

TEST_CASE("write rates are the fastest and the slowest, and the pool follows from a row between") {
  Model model;
  model.device.write_amplification = 1.25;
  std::vector<Row> rows;
  // 1000 MB/s into a pool of 2 GB, then 400 MB/s: 10 s take 2 + 8 * 0.4 = 5.2 GB.
  for (const double bytes_per_s : {1000e6, 400e6, 520e6}) {
    Row row = random_reads(kMiB, 32, kGiB);
    row.kind = IoKind::write;
    row.seconds = 10.0;
    measure(row, bytes_per_s / static_cast<double>(kMiB));
    rows.push_back(row);
  }
  fit_writes(rows, model);
  CHECK(model.device.slc_bandwidth == Approx(1000e6));
  CHECK(model.device.tlc_bandwidth == Approx(500e6));  // before amplification
  CHECK(static_cast<double>(model.device.slc_pool) == Approx(2e9).epsilon(1e-6));
  fit_writes({}, model);
  CHECK(model.findings.at("slc_pool").origin == Origin::base);
}

TEST_CASE("rows that contradict Little, their disk, or themselves are rejected with the reason") {
  std::vector<Row> rows(6, random_reads(4 * kKiB, 16, kGiB));
  for (Row& row : rows) {
    measure(row, 10'000.0);
  }
  rows[0].latency_s *= 0.9;
  rows[1].utilisation = 0.5;
  rows[2].bytes = 6 * kKiB;
  rows[3].range_bytes = 2 * kKiB;
  rows[5].depth = 32;
  measure(rows[5], 8'000.0);
  const std::vector<JudgedRow> judged = judge(rows, 4096, 0);
  CHECK(judged[0].why == "Little's law: rate x latency is 14.4, -10.0 % off 16 outstanding");
  CHECK(judged[1].why == "the disk was busy for 50 % of the time only");
  CHECK(judged[2].why == "6144 B aligned to 4096 B, but blocks are 4096 B");
  CHECK(judged[3].why == "4096 B in a range of 2048 B");
  CHECK(judged[4].use == Use::fitted);
  CHECK(judged[5].why == "20 % slower than at depth 16, and no model falls with depth");
}

TEST_CASE("every third read of one thread is held out by position, rejected ones counted") {
  std::vector<Row> rows(7, random_reads(4 * kKiB, 1, kGiB));
  for (Row& row : rows) {
    measure(row, 10'000.0);
  }
  rows[0].latency_s *= 2.0;
  rows[1].threads = 2;
  measure(rows[1], 10'000.0);
  rows[2].kind = IoKind::write;
  std::vector<Use> uses;
  for (const JudgedRow& judged : judge(rows, 4096, 3)) {
    uses.push_back(judged.use);
  }
  CHECK(uses == std::vector<Use>{Use::rejected, Use::threads, Use::writes, Use::fitted, Use::held_out,
                                 Use::fitted, Use::fitted});
}

TEST_CASE("both fidelities predict rows held out of a device that was simulated with 2 % of noise") {
  const DeviceParams truth = test::shipped_device("ufs31");
  Rng rng = Rng::stream(11, "device fit");
  std::vector<Row> rows = full_set();
  for (Row& row : rows) {
    measure(row, noisy(predict_event(truth, row, 2000, 3), 0.02, rng));
  }
  FitOptions options;
  options.base = test::shipped_device("ufs40");
  options.seed = 5;
  const FitResult result = fit_device(rows, options);
  CHECK(result.errors(Use::held_out, false).rows == 9);
  CHECK(result.errors(Use::held_out, true).rms < 0.06);
  CHECK(result.errors(Use::held_out, false).rms < kAcceptedRms);
  CHECK(result.accepted(false));
  CHECK(result.accepted(true));
  CHECK(check(result.model.device).empty());
  CHECK(result.model.device.map_coverage == Approx(truth.map_coverage).epsilon(0.15));
  CHECK(result.model.device.read_bandwidth == Approx(truth.read_bandwidth).epsilon(0.06));
  CHECK(result.model.device.map_read_time == Approx(truth.map_read_time).epsilon(0.5));
  CHECK(result.model.findings.at("contention").origin == Origin::base);
}

TEST_CASE("one row gives a sound device, the same every time, and the rest is the base's") {
  std::vector<Row> rows = {random_reads(4 * kKiB, 4, kGiB)};
  measure(rows[0], 25'000.0);
  FitOptions options;
  options.base = test::shipped_device("ufs21");
  const FitResult first = fit_device(rows, options);
  const FitResult second = fit_device(rows, options);
  CHECK(values_of(device_param_table(), first.model.device) ==
        values_of(device_param_table(), second.model.device));
  CHECK(check(first.model.device).empty());
  CHECK(first.model.device.stripe == options.base.stripe);
  for (const char* name : {"read_bandwidth", "map_coverage", "miss_time", "latency_bandwidth", "slc_pool",
                           "fit_host_per_kib", "smoothing", "contention", "queue_depth"}) {
    CAPTURE(name);
    CHECK(first.model.findings.at(name).origin != Origin::fitted);
  }
}

TEST_CASE("without a row to fit, the rejected ones are named") {
  std::vector<Row> rows = {random_reads(4 * kKiB, 1, kGiB)};
  measure(rows[0], 10'000.0);
  rows[0].latency_s *= 3.0;
  try {
    fit_device(rows, {});
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.problems() ==
          std::vector<std::string>{
              "no reads of one thread are left to fit",
              "row: rejected: Little's law: rate x latency is 3, +200.0 % off 1 outstanding"});
  }
}

}  // namespace
}  // namespace kvr::flash::fit

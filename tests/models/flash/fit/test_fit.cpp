// The fit: its closed parts by hand, and parameters known beforehand that it must find again.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "models/flash/analytic_model.hpp"
#include "models/flash/fit/closed_fit.hpp"
#include "models/flash/fit/device_fit.hpp"
#include "models/flash/fit/judge.hpp"
#include "models/flash/fit/least_squares.hpp"
#include "models/flash/fit/nelder_mead.hpp"
#include "models/flash/fit/other_rows.hpp"
#include "models/flash/fit/predict.hpp"
#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/base/rng.hpp"
#include "sim/config/text/tree.hpp"
#include "sim/config/values.hpp"
#include "tests/models/flash/shipped_config.hpp"

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
    refit_closed(rows, DeviceParams(model.device), model);
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

TEST_CASE("of no size and no depth are all rows held out, whatever the order of the file") {
  std::vector<Row> rows;
  for (const std::int64_t depth : {1, 4, 16}) {
    for (const std::int64_t kib : {4, 64, 512}) {
      rows.push_back(random_reads(kib * kKiB, depth, kGiB));
      measure(rows.back(), 1000.0 * static_cast<double>(depth));
    }
  }
  std::vector<std::pair<std::int64_t, std::int64_t>> held_out;
  for (const JudgedRow& judged : judge(rows, 4096, 3)) {
    if (judged.use == Use::held_out) {
      held_out.emplace_back(judged.row.bytes / kKiB, judged.row.depth);
    }
  }
  CHECK(held_out == std::vector<std::pair<std::int64_t, std::int64_t>>{{64, 1}, {4, 16}, {512, 16}});
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
  CHECK(result.accepted());
  CHECK(check(result.model.device).empty());
  CHECK(result.model.device.map_coverage == Approx(truth.map_coverage).epsilon(0.15));
  CHECK(result.model.device.read_bandwidth == Approx(truth.read_bandwidth).epsilon(0.06));
  CHECK(result.model.device.map_read_time == Approx(truth.map_read_time).epsilon(0.5));
  CHECK(result.model.findings.at("contention").origin == Origin::base);
}

/// `threads` of an engine that waits, which an Android app can have: 4 to 256 KiB over 4 GiB.
std::vector<Row> synchronous_grid(const DeviceParams& truth, double sigma, std::uint64_t seed) {
  Rng rng = Rng::stream(seed, "synchronous grid");
  std::vector<Row> rows;
  for (const std::int64_t kib : {4, 16, 64, 256}) {
    for (const std::int64_t threads : {1, 2, 4, 8, 32}) {
      Row row = random_reads(kib * kKiB, 1, 4 * kGiB);
      row.threads = threads;
      row.synchronous = true;
      measure(row, noisy(predict_event(truth, row, 1000, seed), sigma, rng));
      rows.push_back(row);
    }
  }
  return rows;
}

void check_synchronous_fit(const char* device) {
  constexpr std::uint64_t kSeed = 7;
  CAPTURE(device);
  CAPTURE(kSeed);
  FitOptions options;
  options.base = test::shipped_device("ufs40");
  const FitResult result = fit_device(synchronous_grid(test::shipped_device(device), 0.03, kSeed), options);
  CHECK(result.errors(Use::fitted, false).rows == 14);
  CHECK(result.errors(Use::held_out, false).rows == 6);
  CHECK(result.errors(Use::held_out, false).rms < kAcceptedRms);
  CHECK(result.errors(Use::held_out, true).rms < kAcceptedRms);
  CHECK(result.accepted());
  CHECK(result.model.device.contention == 0.0);
  CHECK(result.model.findings.at("contention").origin == Origin::assumed);
  CHECK(result.model.findings.at("smoothing").origin == Origin::fitted);
}

TEST_CASE("a grid of synchronous threads fits: ufs31 with 3 % of noise") {
  check_synchronous_fit("ufs31");
}

TEST_CASE("a grid of synchronous threads fits: ufs40 with 3 % of noise") {
  check_synchronous_fit("ufs40");
}

TEST_CASE("a grid of synchronous threads fits: ufs21 with 3 % of noise") {
  check_synchronous_fit("ufs21");
}

TEST_CASE("synchronous threads are judged as a depth, and may idle between requests") {
  std::vector<Row> rows(5, random_reads(4 * kKiB, 1, kGiB));
  for (Row& row : rows) {
    row.synchronous = true;
  }
  rows[1].threads = 4;
  rows[2].threads = 16;
  rows[3].threads = 8;
  for (Row& row : rows) {
    measure(row, 40'000.0);
  }
  measure(rows[0], 10'000.0);
  measure(rows[2], 30'000.0);
  rows[3].latency_s -= 15e-6;  // 7.5 % of 200 us, off Little's law otherwise
  rows[4] = rows[3];
  rows[4].latency_s -= 10e-6;
  const std::vector<JudgedRow> judged = judge(rows, 4096, 0);
  CHECK(judged[0].use == Use::fitted);
  CHECK(judged[1].use == Use::fitted);
  CHECK(judged[2].why == "25 % slower than at depth 4, and no model falls with depth");
  CHECK(judged[3].use == Use::fitted);
  CHECK(judged[4].why == "Little's law: rate x latency is 7, -12.5 % off 8 outstanding");
}

TEST_CASE("a row with a fault is rejected with it, and not predicted") {
  std::vector<Row> rows(2, random_reads(4 * kKiB, 4, kGiB));
  for (Row& row : rows) {
    measure(row, 1000.0);
  }
  rows[1].fault = "block sizes vary (bsrange=4k-64k)";
  const FitResult result = fit_device(rows, {});
  CHECK(result.rows[1].use == Use::rejected);
  CHECK(result.rows[1].why == rows[1].fault);
  CHECK(result.rows[1].closed == 0.0);
  CHECK(result.rows[0].closed > 0.0);
}

TEST_CASE("every kind of row is judged by itself") {
  FitResult result;
  const auto add = [&](Use use, double closed, double event) {
    JudgedRow row{.row = random_reads(4 * kKiB, 1, kGiB), .use = use, .closed = closed, .event = event};
    row.row.requests_per_s = 100.0;
    result.rows.push_back(row);
  };
  for (const Use use : kJudgedUses) {
    for (int i = 0; i < 10; ++i) {
      add(use, 105.0, 95.0);
    }
  }
  add(Use::rejected, 300.0, 300.0);
  CHECK(result.accepted());
  for (const Use use : kJudgedUses) {
    for (const bool event : {false, true}) {
      result.rows.push_back(result.rows.front());
      result.rows.back().use = use;
      (event ? result.rows.back().event : result.rows.back().closed) = 126.0;
      CHECK_FALSE(result.accepted());
      CHECK_FALSE(result.accepted(use, event));
      CHECK(result.accepted(use, !event));
      result.rows.pop_back();
    }
  }
}

TEST_CASE("writes are predicted over their time, from the pool into what lies behind it") {
  DeviceParams device = test::shipped_device("ufs31");
  device.slc_pool = 2'000'000'000;
  Row row = random_reads(kMiB, 32, 8 * kGiB);
  row.kind = IoKind::write;
  for (const auto& predict :
       {+[](const DeviceParams&d, const Row&r) { return predict_closed(d, r); },
        +[](const DeviceParams&d, const Row&r) { return predict_event(d, r, 1000, 1); }}) {
    row.seconds = 0.0;
    const double pooled = predict(device, row);
    CHECK(pooled * static_cast<double>(kMiB) == Approx(device.slc_bandwidth).epsilon(0.02));
    row.seconds = 1000.0;
    const double late = predict(device, row);
    CHECK(late * static_cast<double>(kMiB) ==
          Approx(device.tlc_bandwidth / device.write_amplification).epsilon(0.05));
    row.seconds = 2e9 / (pooled * static_cast<double>(kMiB)) * 2.0;  // half of it in the pool
    CHECK(predict(device, row) == Approx(0.5 * (pooled + late)).epsilon(0.01));
  }
}

/// Every parameter as a file has it, read back, is a device.
void check_loads(const DeviceParams& device) {
  DeviceParams loaded;
  config::Problems problems;
  for (const Param<DeviceParams>& param : device_param_table()) {
    const ParamSpec& spec = param.spec();
    const config::Mark mark{spec.name};
    const std::string text = format_value(param.get(device), spec);
    CAPTURE(spec.name);
    CAPTURE(text);
    const auto value = config::read_value(config::scalar_node("", text, mark), spec, "", problems);
    REQUIRE(value.has_value());
    param.set(loaded, *value);
  }
  CHECK(check(loaded) == std::vector<std::string>{});
}

TEST_CASE("parts of any speed, with and without rows of depth 1, give a device that loads") {
  constexpr std::uint64_t kParts = 3;
  for (std::uint64_t seed = 0; seed < kParts; ++seed) {
    CAPTURE(seed);
    Rng rng = Rng::stream(seed, "any part");
    const double alone_s = std::exp(std::log(20e-6) + rng.uniform() * std::log(1000.0));
    const auto most = static_cast<std::int64_t>(1 + rng.below(16));
    std::vector<Row> rows;
    for (std::uint64_t i = 0; i < 1 + rng.below(4); ++i) {
      const std::int64_t bytes = 4 * kKiB << rng.below(8);
      Row row = random_reads(bytes, seed % 2 == 0 ? 8 : 1 << rng.below(6), kGiB);
      const auto served = static_cast<double>(std::min(row.depth, most));
      measure(row, noisy(served / (alone_s + static_cast<double>(bytes) / 100e6), 0.1, rng));
      rows.push_back(row);
    }
    FitOptions options;
    options.holdout = 0;
    options.base = test::shipped_device(seed % 3 == 0 ? "ufs21" : "ufs40");
    check_loads(fit_device(rows, options).model.device);
  }
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

TEST_CASE("rows of no device that can be described are named") {
  std::vector<Row> rows = {random_reads(4 * kKiB, 1, kGiB)};
  measure(rows[0], 0.25);
  try {
    fit_device(rows, {});
    FAIL("no error");
  } catch (const InputError& error) {
    CHECK(error.problems().front().starts_with("the fit describes no device: "));
    CHECK(error.problems().back() ==
          "the slowest row fitted is row with 0.25 reads/s, the fastest row with 0.25");
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
              "no reads of one queue are left to fit",
              "row: rejected: Little's law: rate x latency is 3, +200.0 % off 1 outstanding"});
  }
}

}  // namespace
}  // namespace kvr::flash::fit

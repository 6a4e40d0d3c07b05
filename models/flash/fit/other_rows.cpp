#include "models/flash/fit/other_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "models/flash/fit/predict.hpp"

namespace kvr::flash::fit {
namespace {

constexpr double kMostContention = 4.0;  // the parameter table's
constexpr double kSlow = 0.7;
constexpr double kBetween = 0.05;  // nearer than this to either rate says nothing of the pool
constexpr std::int64_t kLargeBytes = 65'536;
constexpr std::int64_t kDeep = 8;  // fewer outstanding leave the device idle in between

double squared_error(const DeviceParams& device, std::span<const Row> rows) {
  double sum = 0.0;
  for (const Row& row : rows) {
    const double error = std::log(predict_closed(device, row) / row.requests_per_s);
    sum += error * error;
  }
  return sum;
}

void fit_pool(const std::vector<Row>& rows, Model& model) {
  DeviceParams& d = model.device;
  const double tlc = d.tlc_bandwidth / d.write_amplification;
  for (const Row& row : rows) {
    const bool between =
        row.bytes_per_s < (1.0 - kBetween) * d.slc_bandwidth && row.bytes_per_s > (1.0 + kBetween) * tlc;
    if (between && row.seconds > 0.0) {
      const double bytes = row.bytes_per_s * row.seconds;
      const double pool = (row.seconds - bytes / tlc) / (1.0 / d.slc_bandwidth - 1.0 / tlc);
      d.slc_pool = static_cast<std::int64_t>(std::round(pool));
      model.found("slc_pool", fmt::format("bytes and time of {}, if it began with an empty pool", row.name));
      return;
    }
  }
  model.keep("slc_pool", "no write row runs from the pool's rate into the slower one");
}

}  // namespace

void fit_contention(std::span<const Row> rows, Model& model) {
  if (model.device.hw_queues > 1) {
    model.keep("contention", "threads have queues of their own");
    return;
  }
  if (rows.empty()) {
    model.keep("contention", "no reads of several threads");
    return;
  }
  DeviceParams device = model.device;
  double least = std::numeric_limits<double>::infinity();
  constexpr int kSteps = 100;
  for (const char* scope : {"command", "service"}) {
    device.contention_scope = scope;
    for (int i = 0; i <= static_cast<int>(kMostContention) * kSteps; ++i) {
      device.contention = static_cast<double>(i) / kSteps;
      if (const double error = squared_error(device, rows); error < least) {
        least = error;
        model.device.contention = device.contention;
        model.device.contention_scope = scope;
      }
    }
  }
  model.found("contention", "reads of several threads, by the closed formulas");
  model.found("contention_scope", "reads of several threads, by the closed formulas");
}

void fit_writes(std::span<const Row> rows, Model& model) {
  std::vector<Row> large;
  std::ranges::copy_if(rows, std::back_inserter(large), [](const Row& row) {
    return row.bytes >= kLargeBytes && row.is_one_queue() && row.outstanding() >= kDeep;
  });
  if (large.empty()) {
    for (const char* name : {"slc_bandwidth", "tlc_bandwidth", "slc_pool"}) {
      model.keep(name, "no writes of 64 KiB and more by one queue at depth 8 and more");
    }
    return;
  }
  DeviceParams& d = model.device;
  const auto [slowest, fastest] = std::ranges::minmax_element(large, {}, &Row::bytes_per_s);
  d.slc_bandwidth = fastest->bytes_per_s;
  model.found("slc_bandwidth", fmt::format("the fastest write, {}", fastest->name));
  if (slowest->bytes_per_s >= kSlow * fastest->bytes_per_s) {
    model.keep("tlc_bandwidth", "no write is slower than 70 % of the fastest");
    model.keep("slc_pool", "no write is slower than 70 % of the fastest");
    return;
  }
  d.tlc_bandwidth = slowest->bytes_per_s * d.write_amplification;
  model.found("tlc_bandwidth",
              fmt::format("the slowest write, {}, times write_amplification", slowest->name));
  fit_pool(large, model);
}

}  // namespace kvr::flash::fit

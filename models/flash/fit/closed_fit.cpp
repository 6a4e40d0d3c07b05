// The closed formulas from measured rates. With X a rate, q the requests outstanding, s a size, R a range:
//
//   read_bandwidth       the largest s * X
//   queue_depth          the largest q at which X still rises by 2 %, up to the next usual depth
//   fit_host_per_kib     the slope of the time to submit over s, rows with q = 1
//   latency, latency_bandwidth      a line through 1 / X over s, rows with q = 1
//   hit_time, miss_time, map_coverage, smoothing           service_fit.hpp
//
// All residuals are relative.
#include "models/flash/fit/closed_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "models/flash/fit/least_squares.hpp"
#include "models/flash/fit/nelder_mead.hpp"
#include "models/flash/fit/predict.hpp"
#include "models/flash/fit/service_fit.hpp"
#include "sim/error.hpp"

namespace kvr::flash::fit {
namespace {

constexpr double kKiB = 1024.0;
constexpr double kTiny = 1e-300;
constexpr std::int64_t kLargeBytes = 65'536;  ///< whose rate bandwidth limits, not requests
constexpr std::int64_t kLineBytes = 262'144;  ///< larger reads are split by hosts, which bends the line
constexpr double kRise = 1.02;                ///< of a rate that still grows with depth
constexpr std::array<std::int64_t, 7> kQueueDepths = {1, 32, 64, 128, 256, 512, 1024};

/// Random reads at depth 1 that hosts do not split, of each size those with the smallest range.
std::vector<const Row*> line_rows(std::span<const Row> reads, std::int64_t max_transfer) {
  std::map<std::int64_t, std::int64_t> smallest_range;
  for (const Row& row : reads) {
    if (row.outstanding() == 1 && !row.sequential) {
      auto& range = smallest_range.try_emplace(row.bytes, row.range_bytes).first->second;
      range = std::min(range, row.range_bytes);
    }
  }
  std::vector<const Row*> rows;
  for (const Row& row : reads) {
    if (row.outstanding() == 1 && !row.sequential && row.bytes <= std::min(kLineBytes, max_transfer) &&
        row.range_bytes == smallest_range[row.bytes]) {
      rows.push_back(&row);
    }
  }
  return rows;
}

class ClosedFit {
 public:
  ClosedFit(std::span<const Row> rows, const DeviceParams& base)
      : rows_(rows), base_(base), model_{base, {}} {}

  Model run() {
    bandwidth();
    queue_depth();
    host();
    latency_line();
    fit_service(rows_, base_, model_);
    return std::move(model_);
  }

 private:
  DeviceParams& d() { return model_.device; }

  void bandwidth() {
    const Row& fastest = *std::ranges::max_element(rows_, {}, &Row::bytes_per_s);
    if (!fastest.sequential && fastest.bytes < kLargeBytes && fastest.bytes_per_s < base_.read_bandwidth) {
      model_.keep("read_bandwidth", "no row is sequential or of 64 KiB and more");
      return;
    }
    d().read_bandwidth = fastest.bytes_per_s;
    model_.found("read_bandwidth", fmt::format("the fastest row, {}", fastest.name));
  }

  void queue_depth() {
    using Key = std::tuple<std::int64_t, std::int64_t, bool>;
    std::map<Key, std::map<std::int64_t, double>> rates;  // by depth; of doubled rows the last
    for (const Row& row : rows_) {
      rates[{row.bytes, row.range_bytes, row.sequential}][row.depth] = row.requests_per_s;
    }
    std::int64_t rises_until = 0;
    bool levels_off = false;
    for (const auto& [key, by_depth] : rates) {
      if (by_depth.size() < 3) {
        continue;
      }
      std::int64_t last_rise = by_depth.begin()->first;
      double reached = by_depth.begin()->second;
      for (const auto& [depth, rate] : by_depth) {
        if (rate > kRise * reached) {
          last_rise = depth;
          reached = rate;
        }
      }
      const bool level = last_rise < by_depth.rbegin()->first;
      if (last_rise >= rises_until) {
        levels_off = level && (levels_off || last_rise > rises_until);
        rises_until = last_rise;
      }
    }
    set_queue_depth(rises_until, levels_off);
  }

  void set_queue_depth(std::int64_t rises_until, bool levels_off) {
    if (rises_until == 0) {
      model_.keep("queue_depth", "no reads of one kind at three depths or more");
      return;
    }
    if (!levels_off && base_.queue_depth >= rises_until) {
      model_.keep("queue_depth", fmt::format("rates rise up to the largest depth, {}", rises_until));
      return;
    }
    const auto usual = std::ranges::lower_bound(kQueueDepths, rises_until);
    d().queue_depth = usual == kQueueDepths.end() ? rises_until : *usual;
    model_.found("queue_depth", fmt::format("rates rise up to depth {}; the next usual one", rises_until));
  }

  std::vector<const Row*> alone() const {
    std::vector<const Row*> rows;
    for (const Row& row : rows_) {
      if (row.outstanding() == 1 && !row.sequential) {
        rows.push_back(&row);
      }
    }
    return rows;
  }

  void host() {
    double fastest = 0.0;
    for (const Row& row : rows_) {
      fastest = std::max(fastest, row.requests_per_s);
    }
    model_.keep("fit_host_command", "one clock of the host cannot tell it from the device's time");
    if (d().fit_host_command * fastest > 1.0) {
      d().fit_host_command = 0.5 / fastest;
      model_.assume("fit_host_command", "half of the time between requests of the fastest row");
    }
    std::vector<Point> points;
    for (const Row* row : alone()) {
      if (row->submit_s > 0.0) {
        points.push_back({static_cast<double>(row->bytes) / kKiB, row->submit_s});
      }
    }
    if (const auto line = fit_line(points)) {
      d().fit_host_per_kib = std::max(0.0, line->slope);
      model_.found("fit_host_per_kib", "time to submit over size, depth 1");
    } else {
      model_.keep("fit_host_per_kib", "no time to submit at depth 1 for two sizes");
    }
  }

  void latency_line() {
    std::vector<Point> points;
    for (const Row* row : line_rows(rows_, d().max_transfer)) {
      points.push_back({static_cast<double>(row->bytes - d().block), 1.0 / row->requests_per_s});
    }
    // No read grows slower than bandwidth allows, nor than the host's own share of the growth.
    const double least_slope = std::max(1.0 / d().read_bandwidth, d().fit_host_per_kib / kKiB);
    const auto line = fit_line(points);
    const double base_share = base_.read_bandwidth / base_.latency_bandwidth;
    const double slope = std::max(line ? line->slope : base_share / d().read_bandwidth, least_slope);
    d().latency_bandwidth = 1.0 / slope;
    if (line) {
      model_.found("latency_bandwidth", line->slope < least_slope
                                            ? "depth 1 over size, limited by read_bandwidth"
                                            : "depth 1 over size");
    } else {
      model_.keep("latency_bandwidth", "fewer than two sizes at depth 1; the base's share of read_bandwidth");
    }
    set_latency(points, slope);
  }

  void set_latency(std::span<const Point> points, double slope) {
    if (!points.empty()) {
      d().latency = fit_at_zero(points, slope);
      model_.found("latency", "depth 1");
    }
    double bound = std::numeric_limits<double>::infinity();
    for (const Row& row : rows_) {
      const double growth = slope * static_cast<double>(row.bytes - d().block);
      bound = std::min(bound, static_cast<double>(row.outstanding()) / row.requests_per_s - growth);
    }
    if (points.empty()) {
      model_.keep("latency", "no random reads at depth 1");
    }
    if (points.empty() ? bound < d().latency && bound > 0.0 : d().latency <= 0.0) {
      d().latency = bound > 0.0 ? bound : 1.0 / points[0].y;
      model_.assume("latency", "no longer than any row's requests outstanding over its rate");
    }
  }

  std::span<const Row> rows_;
  const DeviceParams& base_;
  Model model_;
};

}  // namespace

Model fit_closed(std::span<const Row> reads, const DeviceParams& base) {
  KVR_CHECK(!reads.empty(), "no rows to fit");
  return ClosedFit(reads, base).run();
}

void refit_latency(std::span<const Row> reads, Model& model) {
  const std::vector<const Row*> rows = line_rows(reads, model.device.max_transfer);
  std::set<std::int64_t> sizes;
  for (const Row* row : rows) {
    sizes.insert(row->bytes);
  }
  if (sizes.size() < 2) {
    return;
  }
  DeviceParams device = model.device;
  const auto cost = [&](std::span<const double> at) {
    device.latency = std::exp(at[0]);
    device.latency_bandwidth = std::min(std::exp(at[1]), kKiB / std::max(device.fit_host_per_kib, kTiny));
    device.latency_bandwidth = std::min(device.latency_bandwidth, device.read_bandwidth);
    double sum = 0.0;
    for (const Row* row : rows) {
      const double error = std::log(predict_closed(device, *row) / row->requests_per_s);
      sum += error * error;
    }
    return sum;
  };
  constexpr double kStep = 0.1;
  constexpr double kTolerance = 1e-12;
  const std::vector<double> start = {std::log(device.latency), std::log(device.latency_bandwidth)};
  cost(nelder_mead(cost, start, kStep, 400, kTolerance).at);
  model.device = std::move(device);
}

}  // namespace kvr::flash::fit

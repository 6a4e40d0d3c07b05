// The closed formulas from measured rates. With X a rate, q the requests outstanding, s a size, R a range:
//
//   read_bandwidth       the largest s * X, to begin with
//   queue_depth          the largest q at which X still rises by 2 %, up to the next usual depth
//   fit_host_per_kib     the slope of the time to submit over s, rows with q = 1
//   latency, latency_bandwidth      a line through 1 / X over s, rows with q = 1
//   hit_time, miss_time, map_coverage, smoothing           service_fit.hpp
//
// and then together, from there, by the least mean square of log(predicted / measured) over all rows: the
// rate of the largest s is the bandwidth less what smoothing takes of it.
//
// All residuals are relative.
#include "models/flash/fit/closed_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "models/flash/fit/least_squares.hpp"
#include "models/flash/fit/nelder_mead.hpp"
#include "models/flash/fit/predict.hpp"
#include "models/flash/fit/service_fit.hpp"
#include "models/flash/fit/variable.hpp"
#include "sim/base/error.hpp"

namespace kvr::flash::fit {
namespace {

constexpr double kKiB = 1024.0;
constexpr double kNarrow = 1.001;             ///< rounding to four digits must not exceed a bound
constexpr std::int64_t kLargeBytes = 65'536;  ///< whose rate bandwidth limits, not requests
constexpr std::int64_t kLineBytes = 262'144;  ///< larger reads are split by hosts, which bends the line
constexpr double kMega = 1e6;
constexpr double kRise = 1.02;  ///< of a rate that still grows with depth
constexpr std::array<std::int64_t, 7> kQueueDepths = {1, 32, 64, 128, 256, 512, 1024};

double host_of_block_s(const DeviceParams& d) {
  return d.fit_host_command + d.fit_host_wake + d.fit_host_per_kib * static_cast<double>(d.block) / kKiB;
}

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
    contain_hits();
    return std::move(model_);
  }

 private:
  DeviceParams& d() { return model_.device; }

  void bandwidth() {
    const Row& fastest = fastest_row(rows_);
    if (!shows_bandwidth(fastest) && fastest.bytes_per_s < base_.read_bandwidth) {
      model_.keep("read_bandwidth", "no row is sequential or of 64 KiB and more");
      return;
    }
    d().read_bandwidth = fastest.bytes_per_s;
    model_.found("read_bandwidth",
                 fmt::format("with smoothing, over all sizes; the fastest row is {}, {:.4g} MB/s",
                             fastest.name, fastest.bytes_per_s / kMega));
  }

  void queue_depth() {
    using Key = std::tuple<std::int64_t, std::int64_t, bool>;
    std::map<Key, std::map<std::int64_t, double>> rates;  // by depth; of doubled rows the last
    for (const Row& row : rows_) {
      rates[{row.bytes, row.range_bytes, row.sequential}][row.outstanding()] = row.requests_per_s;
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
      d().latency = bound > 0.0 ? bound : points[0].y;
      model_.assume("latency", "no longer than any row's requests outstanding over its rate");
    }
  }

  /// The latency of a part that is slower than the base, where no row is at depth 1.
  void contain_hits() {
    const double least_s = host_of_block_s(d()) + d().hit_time;
    if (d().latency < least_s && model_.findings["latency"].origin != Origin::fitted) {
      d().latency = least_s;
      model_.assume("latency", "no random reads at depth 1: no less than hit_time and the host's share");
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

namespace {

/// What the closed formulas alone read; the search of the event-driven parameters leaves it alone.
class ClosedSearch {
 public:
  ClosedSearch(std::span<const Row> rows, const DeviceParams& centre, Model& model)
      : rows_(rows), centre_(centre), model_(model), start_(model.device), variables_(variables()) {}

  void run() {
    const auto cost = [this](std::span<const double> at) {
      const auto [device, outside] = device_at(at);
      return closed_square(rows_, device) + outside +
             pull_cost(distance_square(device, centre_, variables_), std::ssize(rows_));
    };
    constexpr double kStep = 0.1;
    constexpr double kTolerance = 1e-12;
    constexpr int kEvaluations = 600;
    const Minimum found = nelder_mead(cost, point_of(start_, variables_), kStep, kEvaluations, kTolerance);
    model_.device = device_at(found.at).first;
  }

 private:
  bool is_fitted(std::string_view name) const {
    const auto finding = model_.findings.find(name);
    return finding != model_.findings.end() && finding->second.origin == Origin::fitted;
  }

  /// What the rows do not show keeps the base's value. A latency that no row at depth 1 shows had to be
  /// raised, and rates at other depths say how far.
  bool is_free(std::string_view name) const {
    return is_fitted(name) ||
           (name == "latency" && model_.findings.find(name)->second.origin == Origin::assumed);
  }

  std::vector<Variable> variables() const {
    constexpr double kFar = 16.0;
    constexpr double kSharpest = 16.0;  // the parameter table's
    const auto near = [&](const char* name, double DeviceParams::*member) {
      return Variable{name, member, centre_.*member / kFar, centre_.*member * kFar};
    };
    const std::array candidates = {near("latency", &DeviceParams::latency),
                                   near("latency_bandwidth", &DeviceParams::latency_bandwidth),
                                   near("hit_time", &DeviceParams::hit_time),
                                   near("miss_time", &DeviceParams::miss_time),
                                   near("read_bandwidth", &DeviceParams::read_bandwidth),
                                   Variable{"smoothing", &DeviceParams::smoothing, 1.0, kSharpest}};
    std::vector<Variable> all;
    std::ranges::copy_if(candidates, std::back_inserter(all),
                         [this](const Variable& variable) { return is_free(variable.name); });
    return all;
  }

  /// The device at a point, within what check() demands, and the cost of lying beyond it.
  std::pair<DeviceParams, double> device_at(std::span<const double> at) const {
    DeviceParams device = start_;
    double outside = set_point(device, variables_, at);
    if (!is_fitted("miss_time")) {
      device.miss_time = start_.miss_time * device.hit_time / start_.hit_time;
    }
    if (!is_fitted("latency_bandwidth")) {
      device.latency_bandwidth = start_.latency_bandwidth * device.read_bandwidth / start_.read_bandwidth;
    }
    const auto limit = [&](double& value, double highest) {
      if (value > highest) {
        const double away = std::log(value / highest);
        outside += away * away;
        value = highest;
      }
    };
    const double least_hit_s = kNarrow * (host_of_block_s(device) + device.hit_time);
    if (device.latency < least_hit_s) {
      const double away = std::log(least_hit_s / device.latency);
      outside += away * away;
      device.latency = least_hit_s;
    }
    limit(device.read_bandwidth,
          std::min({device.link, static_cast<double>(device.channels) * device.channel_bandwidth,
                    static_cast<double>(device.stripe) / device.hit_time}) /
              kNarrow);
    limit(device.latency_bandwidth, device.read_bandwidth);
    if (device.fit_host_per_kib > 0.0) {
      limit(device.latency_bandwidth, kKiB / device.fit_host_per_kib);
    }
    return {device, outside};
  }

  std::span<const Row> rows_;
  const DeviceParams& centre_;
  Model& model_;
  DeviceParams start_;
  std::vector<Variable> variables_;
};

}  // namespace

void refit_closed(std::span<const Row> reads, const DeviceParams& centre, Model& model) {
  ClosedSearch(reads, centre, model).run();
}

double closed_square(std::span<const Row> rows, const DeviceParams& device) {
  double sum = 0.0;
  for (const Row& row : rows) {
    const double error = std::log(predict_closed(device, row) / row.requests_per_s);
    sum += error * error;
  }
  return sum / static_cast<double>(rows.size());
}

const Row& fastest_row(std::span<const Row> rows) {
  return *std::ranges::max_element(rows, {}, &Row::bytes_per_s);
}

bool shows_bandwidth(const Row& row) {
  return row.sequential || row.bytes >= kLargeBytes;
}

}  // namespace kvr::flash::fit

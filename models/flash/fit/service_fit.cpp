// With X a rate, q the requests outstanding, s a size, R a range:
//
//   S of a row                  by inverting the closed network that the formulas describe, its latency
//   known;
//                               of rows that keep the device busy only
//   bus = s / read_bandwidth,   die = (S^p - bus^p)^(1/p)
//   hit_time, miss_time, map_coverage    die over R, the smallest size; with one range: hit_time alone
//   smoothing (p)               tried, each with its own hit_time; the best over the rates of all sizes
#include "models/flash/fit/service_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "models/flash/fit/least_squares.hpp"
#include "models/flash/fit/predict.hpp"

namespace kvr::flash::fit {
namespace {

constexpr double kSaturation = 0.7;  ///< q * S / L from which on S shows in the rate
constexpr std::size_t kSizesForSmoothing = 4;

/// A row whose rate shows the service time.
struct Served {
  const Row* row;
  double service_s;
};

class ServiceFit {
 public:
  ServiceFit(std::span<const Row> rows, const DeviceParams& base, Model& model)
      : rows_(rows), base_(base), model_(model) {}

  void run() {
    collect_served();
    const std::vector<const Served*> ranges = range_rows();
    if (ranges.empty()) {
      unsaturated();
      return;
    }
    const bool frees_smoothing = deep_sizes(rows_).size() >= kSizesForSmoothing;
    search_smoothing(ranges, frees_smoothing);
    if (frees_smoothing) {
      model_.found("smoothing", "sizes between the smallest and the largest, at depth");
    } else {
      model_.keep("smoothing", "fewer than two sizes between the smallest and the largest at depth");
    }
    name_dies(dies(ranges));
  }

 private:
  DeviceParams& d() { return model_.device; }

  double hit_latency_s(const Row& row) {
    return d().latency + static_cast<double>(row.bytes - d().block) / d().latency_bandwidth;
  }

  void collect_served() {
    for (const Row& row : rows_) {
      if (row.sequential || row.bytes > d().max_transfer) {
        continue;
      }
      const auto depth = std::min(row.outstanding(), d().queue_depth);
      const double alone_s = hit_latency_s(row);
      const auto service_s = service_behind(row.requests_per_s, alone_s, depth);
      if (service_s && static_cast<double>(depth) * *service_s > kSaturation * alone_s) {
        served_.push_back({&row, *service_s});
      }
    }
  }

  /// Time of the dies behind a service time; 0 where the bus explains all of it.
  double die_s(const Served& served) {
    const double bus_s = static_cast<double>(served.row->bytes) / d().read_bandwidth;
    const double p = d().smoothing;
    return served.service_s <= bus_s ? 0.0
                                     : std::pow(std::pow(served.service_s, p) - std::pow(bus_s, p), 1.0 / p);
  }

  double operations(const Row& row) {
    return 1.0 + stripe_borders(path_of(d(), row), static_cast<double>(row.bytes));
  }

  /// The served rows of the smallest size and, of these, of the depth with the most ranges, deeper ones
  /// first.
  std::vector<const Served*> range_rows() const {
    std::int64_t smallest = std::numeric_limits<std::int64_t>::max();
    for (const Served& served : served_) {
      smallest = std::min(smallest, served.row->bytes);
    }
    std::map<std::int64_t, std::vector<const Served*>> by_depth;
    std::map<std::int64_t, std::set<std::int64_t>> ranges;
    for (const Served& served : served_) {
      if (served.row->bytes == smallest) {
        by_depth[served.row->outstanding()].push_back(&served);
        ranges[served.row->outstanding()].insert(served.row->range_bytes);
      }
    }
    std::int64_t best = 0;
    for (const auto& [depth, distinct] : ranges) {
      if (best == 0 || distinct.size() >= ranges[best].size()) {
        best = depth;
      }
    }
    return best == 0 ? std::vector<const Served*>{} : by_depth[best];
  }

  /// hit_time, miss_time and map_coverage for the stripe and the smoothing that are set.
  std::optional<RangeFit> dies(const std::vector<const Served*>& rows) {
    std::vector<Point> points;
    for (const Served* served : rows) {
      if (const double time_s = die_s(*served); time_s > 0.0) {
        points.push_back({static_cast<double>(served->row->range_bytes), time_s});
      }
    }
    if (points.empty()) {
      return std::nullopt;
    }
    const double share = operations(*rows[0]->row);
    if (const auto fit = fit_ranges(points); fit && fit->miss_s > 0.0) {
      d().hit_time = fit->hit_s / share;
      d().miss_time = fit->miss_s;
      d().map_coverage = fit->coverage_bytes;
      return fit;
    }
    // The base's ratio of misses to hits, and its coverage.
    const double ratio = base_.miss_time / base_.hit_time;
    double sum = 0.0;
    for (const Point& point : points) {
      sum += std::log(point.y / (share + (1.0 - map_hit_share(base_, point.x)) * ratio));
    }
    d().hit_time = std::exp(sum / static_cast<double>(points.size()));
    d().miss_time = ratio * d().hit_time;
    d().map_coverage = base_.map_coverage;
    return std::nullopt;
  }

  double served_error() {
    double sum = 0.0;
    for (const Served& served : served_) {
      const double ratio = predict_closed(d(), *served.row) / served.row->requests_per_s;
      sum += std::log(ratio) * std::log(ratio);
    }
    return sum;
  }

  void search_smoothing(const std::vector<const Served*>& ranges, bool frees_smoothing) {
    if (!frees_smoothing) {
      return;
    }
    constexpr double kSharpest = 8.0;
    constexpr double kStep = 0.25;
    double least = std::numeric_limits<double>::infinity();
    double best = d().smoothing;
    for (double p = 1.0; p <= kSharpest; p += kStep) {
      d().smoothing = p;
      dies(ranges);
      if (const double error = served_error(); error < least) {
        least = error;
        best = p;
      }
    }
    d().smoothing = best;
  }

  void name_dies(const std::optional<RangeFit>& ranges) {
    model_.found("hit_time", "the smallest reads at depth");
    if (!ranges) {
      model_.keep("miss_time", "fewer than three ranges, or no effect of them; the base's ratio to hit_time");
      model_.keep("map_coverage", "fewer than three ranges, or no effect of them");
      return;
    }
    model_.found("miss_time", "rates over the range");
    model_.found("map_coverage", fmt::format("rates over the range; {:.0f} to {:.0f} MB without any one row",
                                             ranges->lowest_bytes * 1e-6, ranges->highest_bytes * 1e-6));
  }

  /// Rates that latency alone explains bound the time of the dies only.
  void unsaturated() {
    double bound = d().hit_time;
    for (const Row& row : rows_) {
      bound = std::min(bound, 1.0 / row.requests_per_s);
    }
    d().miss_time *= bound / d().hit_time;
    d().hit_time = bound;
    model_.assume("hit_time", "no row keeps the device busy: the base's, at most the time between requests");
    model_.assume("miss_time", "no row keeps the device busy: the base's ratio to hit_time");
  }

  std::span<const Row> rows_;
  const DeviceParams& base_;
  Model& model_;
  std::vector<Served> served_;
};

}  // namespace

std::set<std::int64_t> deep_sizes(std::span<const Row> rows) {
  std::set<std::int64_t> sizes;
  for (const Row& row : rows) {
    if (row.outstanding() > 1 && !row.sequential) {
      sizes.insert(row.bytes);
    }
  }
  return sizes;
}

void fit_service(std::span<const Row> rows, const DeviceParams& base, Model& model) {
  ServiceFit(rows, base, model).run();
}

}  // namespace kvr::flash::fit

#include "models/flash/fit/least_squares.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "models/flash/analytic_model.hpp"

namespace kvr::flash::fit {
namespace {

constexpr double kCoverageStep = 1.01;
constexpr std::size_t kFewestRanges = 3;

double relative_square(const Point& point, double fitted) {
  const double error = (fitted - point.y) / point.y;
  return error * error;
}

/// The best fit with one coverage; `rms` holds the sum of squares.
RangeFit fit_with_coverage(std::span<const Point> points, double coverage) {
  std::vector<Point> by_misses;
  for (const Point& point : points) {
    by_misses.push_back({1.0 - std::min(1.0, coverage / point.x), point.y});
  }
  RangeFit fit{.coverage_bytes = coverage};
  if (const auto line = fit_line(by_misses)) {
    fit.hit_s = line->at_zero;
    fit.miss_s = line->slope;
  }
  if (fit.miss_s <= 0.0 || fit.hit_s <= 0.0) {
    fit.miss_s = 0.0;
    fit.hit_s = fit_at_zero(by_misses, 0.0);
  }
  for (const Point& point : by_misses) {
    fit.rms += relative_square(point, fit.hit_s + fit.miss_s * point.x);
  }
  return fit;
}

RangeFit best_coverage(std::span<const Point> points) {
  const auto [low, high] = std::ranges::minmax_element(points, {}, &Point::x);
  RangeFit best = fit_with_coverage(points, low->x);
  for (double coverage = low->x; coverage < high->x; coverage *= kCoverageStep) {
    const RangeFit fit = fit_with_coverage(points, coverage);
    if (fit.rms < best.rms) {
      best = fit;
    }
  }
  best.rms = std::sqrt(best.rms / static_cast<double>(points.size()));
  best.lowest_bytes = best.highest_bytes = best.coverage_bytes;
  return best;
}

std::size_t distinct_ranges(std::span<const Point> points) {
  std::set<double> ranges;
  for (const Point& point : points) {
    ranges.insert(point.x);
  }
  return ranges.size();
}

}  // namespace

std::optional<Line> fit_line(std::span<const Point> points) {
  double w = 0.0;
  double wx = 0.0;
  double wy = 0.0;
  for (const Point& point : points) {
    const double weight = 1.0 / (point.y * point.y);
    w += weight;
    wx += weight * point.x;
    wy += weight * point.y;
  }
  double xx = 0.0;
  double xy = 0.0;
  for (const Point& point : points) {
    const double weight = 1.0 / (point.y * point.y);
    xx += weight * (point.x - wx / w) * (point.x - wx / w);
    xy += weight * (point.x - wx / w) * point.y;
  }
  if (points.empty() || std::ranges::all_of(points, [&](const Point& p) { return p.x == points[0].x; })) {
    return std::nullopt;
  }
  const double slope = xy / xx;
  return Line{(wy - slope * wx) / w, slope};
}

double fit_at_zero(std::span<const Point> points, double slope) {
  double w = 0.0;
  double wr = 0.0;
  for (const Point& point : points) {
    const double weight = 1.0 / (point.y * point.y);
    w += weight;
    wr += weight * (point.y - slope * point.x);
  }
  return wr / w;
}

std::optional<double> service_behind(double rate_per_s, double latency_s, std::int64_t customers) {
  const auto rate_at = [&](double service_s) {
    return closed_network_per_s(service_s, std::max(0.0, latency_s - service_s), customers);
  };
  if (customers <= 1 || rate_per_s >= rate_at(0.0)) {
    return std::nullopt;
  }
  double low = 0.0;
  double high = 1.0 / rate_per_s;  // a server is never faster than the rate it keeps up
  constexpr int kHalvings = 60;
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = 0.5 * (low + high);
    (rate_at(middle) > rate_per_s ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

std::optional<RangeFit> fit_ranges(std::span<const Point> points) {
  if (distinct_ranges(points) < kFewestRanges) {
    return std::nullopt;
  }
  RangeFit fit = best_coverage(points);
  for (std::size_t left_out = 0; left_out < points.size(); ++left_out) {
    std::vector<Point> others(points.begin(), points.end());
    others.erase(others.begin() + static_cast<std::ptrdiff_t>(left_out));
    const RangeFit without = best_coverage(others);
    fit.lowest_bytes = std::min(fit.lowest_bytes, without.coverage_bytes);
    fit.highest_bytes = std::max(fit.highest_bytes, without.coverage_bytes);
  }
  return fit;
}

}  // namespace kvr::flash::fit

#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace kvr::flash::fit {

struct Point {
  double x = 0.0;
  double y = 0.0;  ///< above 0
};

/// y = at_zero + slope * x.
struct Line {
  double at_zero = 0.0;
  double slope = 0.0;
};

/// Least squares of the relative residuals (at_zero + slope * x - y) / y. Empty unless two x differ.
std::optional<Line> fit_line(std::span<const Point> points);

/// The same with a given slope; `points` is not empty.
double fit_at_zero(std::span<const Point> points, double slope);

/// The service time of the closed network (closed_network_per_s) in which `customers` are served at `rate`,
/// where one alone takes `latency_s`. Empty where the rate does not depend on it: a single customer, or a
/// rate that the latency alone explains.
std::optional<double> service_behind(double rate_per_s, double latency_s, std::int64_t customers);

/// t(R) = hit_s + (1 - min(1, coverage / R)) * miss_s, over ranges R in bytes.
struct RangeFit {
  double coverage_bytes = 0.0;
  double hit_s = 0.0;
  double miss_s = 0.0;
  double rms = 0.0;            ///< of the relative residuals
  double lowest_bytes = 0.0;   ///< of the coverage when any one point is left out
  double highest_bytes = 0.0;  ///< the same
};

/// Tries every coverage between the smallest and the largest range in steps of 1 %, each with the best
/// non-negative hit_s and miss_s. Points are (range, time). Empty for fewer than three ranges.
std::optional<RangeFit> fit_ranges(std::span<const Point> points);

}  // namespace kvr::flash::fit

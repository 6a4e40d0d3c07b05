#include "sim/results/statistics.hpp"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<double> known(std::span<const double> values) {
  std::vector<double> known_values;
  known_values.reserve(values.size());
  std::ranges::copy_if(values, std::back_inserter(known_values),
                       [](double value) { return !std::isnan(value); });
  return known_values;
}

double compensated_sum(std::span<const double> values) {
  double total = 0.0;
  double lost = 0.0;
  for (const double value : values) {
    const double next = total + value;
    lost += std::abs(total) >= std::abs(value) ? (total - next) + value : (value - next) + total;
    total = next;
  }
  return std::isfinite(total) ? total + lost : total;
}

}  // namespace

double sum(std::span<const double> values) {
  const std::vector<double> given = known(values);
  return given.empty() ? kNan : compensated_sum(given);
}

double mean(std::span<const double> values) {
  const std::vector<double> given = known(values);
  return given.empty() ? kNan : compensated_sum(given) / static_cast<double>(given.size());
}

double maximum(std::span<const double> values) {
  const std::vector<double> given = known(values);
  return given.empty() ? kNan : *std::ranges::max_element(given);
}

double quantile(std::span<const double> values, double q) {
  KVR_CHECK(0.0 <= q && q <= 1.0, "{}", q);
  std::vector<double> sorted = known(values);
  if (sorted.empty()) {
    return kNan;
  }
  std::ranges::sort(sorted);
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - std::floor(place));
}

MeanInterval mean_interval(std::span<const double> values) {
  const auto count = static_cast<double>(values.size());
  const double middle = values.empty() ? kNan : compensated_sum(values) / count;
  if (values.size() < 2 || !std::isfinite(middle)) {
    return {middle, kNan};
  }
  std::vector<double> squares;
  std::ranges::transform(values, std::back_inserter(squares),
                         [middle](double value) { return (value - middle) * (value - middle); });
  const double deviation = std::sqrt(compensated_sum(squares) / (count - 1.0));
  const boost::math::students_t distribution(count - 1.0);
  return {middle, boost::math::quantile(distribution, 0.975) * deviation / std::sqrt(count)};
}

}  // namespace kvr

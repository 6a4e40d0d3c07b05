#include "models/flash/fit/variable.hpp"

#include <algorithm>
#include <cmath>

namespace kvr::flash::fit {

double Variable::of(const DeviceParams& device) const {
  return std::clamp(device.*member, low, high);
}

std::vector<double> point_of(const DeviceParams& device, std::span<const Variable> variables) {
  std::vector<double> at;
  for (const Variable& variable : variables) {
    at.push_back(std::log(variable.of(device)));
  }
  return at;
}

double set_point(DeviceParams& device, std::span<const Variable> variables, std::span<const double> at) {
  double outside_square = 0.0;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    const double taken = std::clamp(at[i], std::log(variables[i].low), std::log(variables[i].high));
    outside_square += (at[i] - taken) * (at[i] - taken);
    device.*variables[i].member = std::exp(taken);
  }
  return outside_square;
}

double distance_square(const DeviceParams& device, const DeviceParams& centre,
                       std::span<const Variable> variables) {
  double sum = 0.0;
  for (const Variable& variable : variables) {
    const double away = std::log(device.*variable.member / variable.of(centre));
    sum += away * away;
  }
  return sum;
}

double pull_cost(double square, std::ptrdiff_t rows) {
  constexpr double kWeight = kRowError / kPartSpread;
  return kWeight * kWeight * square / static_cast<double>(rows);
}

}  // namespace kvr::flash::fit

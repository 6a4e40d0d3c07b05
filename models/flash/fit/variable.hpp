#pragma once

#include <span>
#include <vector>

#include "models/flash/device_params.hpp"

namespace kvr::flash::fit {

/// One number that is searched, on its logarithm, and where it may lie. Another parameter joins a fit as one
/// more of these in the list of that fit (closed_fit.cpp, event_fit.cpp).
struct Variable {
  const char* name;
  double DeviceParams::*member;
  double low;
  double high;

  double of(const DeviceParams& device) const;
};

/// The point of the search that `device` is at.
std::vector<double> point_of(const DeviceParams& device, std::span<const Variable> variables);

/// Sets the variables of `device` to the point `at`, each within its bounds. Returns the square of the
/// distance by which the point lies outside.
double set_point(DeviceParams& device, std::span<const Variable> variables, std::span<const double> at);

/// Sum over the variables of log(value / centre)^2.
double distance_square(const DeviceParams& device, const DeviceParams& centre,
                       std::span<const Variable> variables);

/// What rows are believed to be off, and parts to differ from their base: a parameter that the rows do not
/// show stays at its centre, one that they show does not notice it.
inline constexpr double kRowError = 0.05;
inline constexpr double kPartSpread = 0.5;

/// The cost of `square` of distance from the centre beside the mean square of the errors of so many rows.
double pull_cost(double square, std::ptrdiff_t rows);

}  // namespace kvr::flash::fit

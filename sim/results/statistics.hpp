#pragma once

#include <span>

namespace kvr {

/// Statistics over the values that are not NaN. A sum carries the rounding errors along (Neumaier 1974), so
/// that it does not depend on the length; of no value at all every one of these is NaN.
double sum(std::span<const double> values);
double mean(std::span<const double> values);
double maximum(std::span<const double> values);

/// The q-quantile, 0 <= q <= 1: linear interpolation between the order statistics x(0) <= ... <= x(n-1) at
/// the place q * (n - 1), which is numpy's default and type 7 of Hyndman and Fan (1996).
double quantile(std::span<const double> values, double q);

/// A mean and half the width of its 95 % interval.
struct MeanInterval {
  double mean;
  double half_width;  ///< NaN of fewer than two values
};

/// Student's interval: t(0.975, n - 1) * s / sqrt(n). A NaN makes it NaN: of a seed without a value the mean
/// over seeds says nothing.
MeanInterval mean_interval(std::span<const double> values);

}  // namespace kvr

#pragma once

#include <functional>
#include <span>
#include <vector>

namespace kvr::flash::fit {

struct Minimum {
  std::vector<double> at;
  double value = 0.0;
};

/// Searches a minimum of `cost` from `start`, with a first simplex of `step` along each axis; ends after
/// `evaluations` calls or when the simplex agrees to `tolerance`. Nelder and Mead 1965, with the usual
/// coefficients 1, 2, 1/2, 1/2. Needs no derivatives, so the small noise of a simulation does no harm.
Minimum nelder_mead(const std::function<double(std::span<const double>)>& cost,
                    const std::vector<double>& start, double step, int evaluations, double tolerance);

}  // namespace kvr::flash::fit

#pragma once

#include <string>

#include "models/flash/fit/device_fit.hpp"

namespace kvr::cli {

/// A fit and what was asked for.
struct FitReport {
  const flash::fit::FitResult& result;
  std::string base;     ///< as given
  std::string command;  ///< the whole line
};

/// Every parameter with where its value comes from, every row with what both fidelities predict, and the
/// errors.
std::string fit_tables(const FitReport& report);

/// The device as a file that configurations include; comments say where each value comes from, which rows
/// were used and how far off both fidelities are.
std::string fit_yaml(const FitReport& report);

/// Which fidelities are off by more than is accepted, and by how much; empty if none is.
std::string fit_doubt(const FitReport& report);

/// That no row tested the fit; empty if one did.
std::string fit_untested(const FitReport& report);

}  // namespace kvr::cli

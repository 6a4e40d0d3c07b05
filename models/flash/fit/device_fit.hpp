#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "models/flash/fit/judge.hpp"
#include "models/flash/fit/model.hpp"

namespace kvr::flash::fit {

struct FitOptions {
  DeviceParams base;
  std::int64_t holdout = 3;  ///< every so-many-th row is held out; 0: none
  std::optional<double> link_bytes_per_s = std::nullopt;
  std::uint64_t seed = 0;
  /// Called after every simulation of all rows, with how many are done and an estimate of all.
  std::function<void(std::int64_t done, std::int64_t total)> progress = [](std::int64_t, std::int64_t) {};
};

/// Relative errors, predicted over measured rate less 1.
struct ErrorSummary {
  std::int64_t rows = 0;
  double median = 0.0;  ///< of the magnitudes; the upper one of two in the middle
  double rms = 0.0;
  double worst = 0.0;  ///< signed, the one of the largest magnitude
};

/// What is judged, each by itself, so that many rows of one kind do not hide few of another.
inline constexpr std::array kJudgedUses = {Use::fitted, Use::held_out, Use::threads, Use::writes};
inline constexpr double kAcceptedRms = 0.10;
inline constexpr double kAcceptedWorst = 0.25;

struct FitResult {
  Model model;
  std::vector<JudgedRow> rows;

  /// Of the rows with this use, by the closed formulas or (`event`) by the event-driven device.
  ErrorSummary errors(Use use, bool event) const;
  /// Whether the rows with this use, none of them included, are within the limits above.
  bool accepted(Use use, bool event) const;
  /// Whether all rows that were not rejected are, fitted, held out, of several threads and writes each by
  /// themselves, at both fidelities.
  bool accepted() const;
};

/// Judges the rows, fits both fidelities to one set of parameters, and predicts every row with it. Throws
/// InputError if no row is left to fit or the result does not describe a device.
FitResult fit_device(std::vector<Row> rows, const FitOptions& options);

}  // namespace kvr::flash::fit

#pragma once

#include <span>

#include "models/flash/fit/model.hpp"
#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// Fits what the closed formulas read, step by step, each parameter from the rows that show it. What no row
/// shows comes from `base`, the stripe always. `reads` are of one thread and not empty. The rest of the model
/// is the base's and may contradict the result (consistent.hpp).
Model fit_closed(std::span<const Row> reads, const DeviceParams& base);

/// Once channel_bandwidth and stripe are fitted, which bend the latency of small reads: searches together
/// what the closed formulas read and the rows show, within what the other parameters allow: latency and
/// latency_bandwidth, read_bandwidth with smoothing, hit_time and miss_time. `centre`: the result of
/// fit_closed, to which all are pulled a little.
void refit_closed(std::span<const Row> reads, const DeviceParams& centre, Model& model);

/// Mean square of log(predicted / measured) by the closed formulas; `rows` is not empty.
double closed_square(std::span<const Row> rows, const DeviceParams& device);

/// The most bytes per second; `rows` is not empty.
const Row& fastest_row(std::span<const Row> rows);
/// Whether the bandwidth limits the row, not the number of its requests.
bool shows_bandwidth(const Row& row);

}  // namespace kvr::flash::fit

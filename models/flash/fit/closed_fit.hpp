#pragma once

#include <span>

#include "models/flash/fit/model.hpp"
#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// Fits what the closed formulas read, step by step, each parameter from the rows that show it. What no row
/// shows comes from `base`, the stripe always. `reads` are of one thread and not empty. The rest of the model
/// is the base's and may contradict the result (consistent.hpp).
Model fit_closed(std::span<const Row> reads, const DeviceParams& base);

/// Once channel_bandwidth and stripe are fitted, which bend the latency of small reads: fits the line of
/// latency and latency_bandwidth again, around the bend.
void refit_latency(std::span<const Row> reads, Model& model);

}  // namespace kvr::flash::fit

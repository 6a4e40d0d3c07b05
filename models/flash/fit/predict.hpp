#pragma once

#include <cstdint>

#include "models/flash/analytic_model.hpp"
#include "models/flash/device_params.hpp"
#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// The way the reads of `row` take.
ReadPath path_of(const DeviceParams& device, const Row& row);

/// Requests per second by the closed formulas. Of a write that says how long it ran, the mean over that time
/// from an empty SLC pool on; of others, the rate of the pool.
double predict_closed(const DeviceParams& device, const Row& row);

/// Requests per second of the device `queueing`, over `requests` that count, but at least four times and
/// after twice as many as fill the queue. Of writes as above, the rate behind the pool being that of a part
/// without one.
double predict_event(const DeviceParams& device, const Row& row, std::int64_t requests, std::uint64_t seed);

}  // namespace kvr::flash::fit

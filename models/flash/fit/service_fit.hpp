#pragma once

#include <cstdint>
#include <set>
#include <span>

#include "models/flash/fit/model.hpp"
#include "models/flash/fit/row.hpp"

namespace kvr::flash::fit {

/// Sizes of random reads with more than one outstanding.
std::set<std::int64_t> deep_sizes(std::span<const Row> rows);

/// hit_time, miss_time, map_coverage and smoothing of `model`, whose bandwidth, latency, queue depth and
/// stripe are set. `rows` are reads of one thread.
void fit_service(std::span<const Row> rows, const DeviceParams& base, Model& model);

}  // namespace kvr::flash::fit

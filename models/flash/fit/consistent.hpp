#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/flash/fit/model.hpp"

namespace kvr::flash::fit {

/// Sets the event-driven parameters in the base's proportion to what the closed fit measured: link and
/// channels to read_bandwidth, firmware and array reads to hit_time. `link_bytes_per_s`: the link, where
/// somebody knows it.
void start_event_parameters(const DeviceParams& base, std::optional<double> link_bytes_per_s, Model& model);

/// A mapping read alone on the event-driven device: map_read_time, a block on the channel, firmware_time; at
/// least miss_time.
double map_latency_s(const DeviceParams& device);

/// Lowers (or raises) what was not measured as far as what was measured demands, so that the set passes
/// check(): host terms within latency, map_latency, writes within the link and the dies. Returns the names of
/// what changed.
std::vector<std::string> settle(DeviceParams& device);

/// Once everything is fitted: map_latency of the event-driven parameters, every real rounded to four digits,
/// as a file shows them, and settle().
void finish(Model& model);

}  // namespace kvr::flash::fit

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/cli/bench/child.hpp"
#include "sim/cli/bench/measure.hpp"

namespace kvr::bench {

/// How fast a flash device is simulated.
struct DeviceResult {
  std::string name;
  std::string what;
  std::int64_t requests = 0;  ///< of each timed run
  double simulated_s = 0.0;   ///< of each timed run
  Timing cpu = {};
  double least_per_s = 0.0;  ///< requests a second that are asked for
  /// Of the requests a second of the last run over those of the first; the runs follow each other in
  /// simulated time on one device, so a cost that grows with the length of a run would show.
  double last_to_first = 0.0;

  double requests_per_s() const { return static_cast<double>(requests) / cpu.median_s; }
  bool is_fast_enough() const { return requests_per_s() >= least_per_s; }
};

/// A whole `kvreplay device curve` of one point in a process of its own, for what starting costs.
struct StartUp {
  std::int64_t requests = 0;
  ChildUse use;
  double wall_limit_s = 0.0;
  std::int64_t peak_limit_bytes = 0;
};

/// Every fidelity that simulates, on a UFS 4.0 part whose mapping misses nearly always.
std::vector<DeviceResult> measure_devices();

StartUp measure_start_up();

}  // namespace kvr::bench

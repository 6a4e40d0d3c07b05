#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash::fit {

/// One measured load that kept a fixed number of requests outstanding.
struct Row {
  std::string place;  ///< "grid.json: jobs[3].read"
  std::string name;   ///< the job's
  IoKind kind = IoKind::read;
  bool sequential = false;
  std::int64_t bytes = 0;
  std::int64_t depth = 1;  ///< of each thread
  std::int64_t threads = 1;
  bool synchronous = false;      ///< each thread waits for its request before the next, so `depth` is 1
  std::int64_t range_bytes = 0;  ///< over which the offsets spread
  std::int64_t align_bytes = 0;  ///< random offsets are multiples of it
  double requests_per_s = 0.0;   ///< all threads together
  double bytes_per_s = 0.0;
  double latency_s = 0.0;                            ///< mean, submission to completion
  double submit_s = 0.0;                             ///< mean time in the submitting call; 0: not measured
  double seconds = 0.0;                              ///< that the load ran; 0: not stated
  std::optional<double> utilisation = std::nullopt;  ///< of the disk, 0 to 1
  std::string fault = {};  ///< why it is no load of one size, at random or in sequence, alone; empty: it is

  std::int64_t outstanding() const { return depth * threads; }
  /// Whether `outstanding` is a depth: of one thread, or of as many as there are requests, which is how a
  /// depth is reached without asynchronous requests.
  bool is_one_queue() const { return threads == 1 || synchronous; }
};

}  // namespace kvr::flash::fit

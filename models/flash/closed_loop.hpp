#pragma once

#include <cstdint>

#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// A load that keeps a fixed number of requests outstanding, as fio makes it: each of `threads` threads keeps
/// `depth` requests of `bytes` outstanding and submits the next one when one is done. Offsets are multiples
/// of `align_bytes`, uniform over [0, range_bytes - bytes]; or, when `sequential`, one stream that wraps.
struct ClosedLoop {
  IoKind kind = IoKind::read;
  std::int64_t bytes = 4096;
  std::int64_t depth = 1;
  std::int64_t threads = 1;
  std::int64_t range_bytes = std::int64_t{1} << 30;
  std::int64_t align_bytes = 4096;
  bool sequential = false;
  std::uint64_t seed = 0;
  double start_s = 0.0;  ///< not below what the device has been advanced to
};

/// Over the requests that were completed after the warm-up.
struct LoadResult {
  std::int64_t requests = 0;
  double seconds = 0.0;
  double bytes_per_s = 0.0;
  double requests_per_s = 0.0;
  double latency_s = 0.0;  ///< mean, submission to completion
  double p50_s = 0.0;      ///< the smallest latency that half of the requests do not exceed
  double p99_s = 0.0;
  double ended_s = 0.0;  ///< last completion of all; where another load may start
};

/// Runs `load` on `device`, from `start_s` or, if later, the last completion of what is outstanding:
/// `warm_up` requests first, then `requests` that count, at full load until the last of them is done; ends
/// when nothing is outstanding. Sets the device's working set to the range (0 for a sequential load, whose
/// mapping is always at hand). Memory: 8 B for each request that counts.
LoadResult run_closed_loop(FlashDevice& device, const ClosedLoop& load, std::int64_t warm_up,
                           std::int64_t requests);

}  // namespace kvr::flash

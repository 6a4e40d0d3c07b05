#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/flash/storage/storage_file.hpp"

namespace kvr::flash {

/// A closed loop on a real device, as fio makes one: each of `threads` threads keeps `depth` requests of
/// `bytes` outstanding. Random offsets are multiples of `bytes` within the first `range_bytes` of the file;
/// a sequential load is one stream that wraps there, shared by all threads.
struct ProbeJob {
  std::string name;
  IoKind kind = IoKind::read;
  bool sequential = false;
  std::int64_t bytes = 4096;
  std::int64_t depth = 1;
  std::int64_t threads = 1;
  std::int64_t range_bytes = std::int64_t{1} << 27;
};

/// Over samples of one duration; zeros where there are none.
struct ProbeTimes {
  double mean_s = 0.0;
  double stddev_s = 0.0;
  double min_s = 0.0;
  double max_s = 0.0;
  std::vector<double> percentiles_s;  ///< at kProbePercentiles
};

inline constexpr double kProbePercentiles[] = {1.0, 5.0, 50.0, 90.0, 95.0, 99.0, 99.9};

/// Over the requests that were done within the measured seconds.
struct ProbeRow {
  ProbeJob job;
  double seconds = 0.0;
  std::int64_t requests = 0;
  double requests_per_s = 0.0;
  ProbeTimes latency;       ///< from the start of a request until it is seen done
  ProbeTimes submission;    ///< the part until the kernel has it
  ProbeTimes completion;    ///< the rest
  double user_share = 0.0;  ///< processor time of this program over elapsed time, per thread
  double system_share = 0.0;
  double lowest_per_s = 0.0;  ///< requests_per_s of the slowest and the fastest pass over this job
  double highest_per_s = 0.0;

  /// By Little's law the requests outstanding, so nearly depth * threads.
  double outstanding() const { return requests_per_s * latency.mean_s; }
};

struct ProbeLimits {
  std::int64_t range_bytes = 0;  ///< size of the file
  std::int64_t depth = 32;
};

/// The loads that a device model is fitted with: bandwidth of sequential reads, latency over size at depth 1,
/// rate over range, bandwidth over size at full depth, rate over depth, threads, and two loads of writes,
/// last because they change the file. None twice; what exceeds the limits is left out.
std::vector<ProbeJob> probe_plan(const ProbeLimits& limits);

/// What `job` becomes for an engine: `threads` has no depth but its threads.
ProbeJob job_for_engine(ProbeJob job, std::string_view engine);

/// Runs `job` for at least `warm_up_s`, which does not count, and `seconds`. `engine` as in make_direct_io.
/// Throws SystemError when a request fails.
ProbeRow run_probe_job(const StorageFile& file, std::string_view engine, const ProbeJob& job,
                       double warm_up_s, double seconds);

/// Of several passes over one job, at least one, that of the median rate (the lower one of two in the
/// middle), with the range of all. Other load of a machine lasts for seconds: passes that lie apart let it
/// show.
ProbeRow middle_pass(std::vector<ProbeRow> passes);

}  // namespace kvr::flash

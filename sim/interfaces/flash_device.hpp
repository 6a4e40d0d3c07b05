#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/report.hpp"

namespace kvr {

enum class IoKind : std::uint8_t { read, write };

struct IoRequest {
  std::uint64_t id = 0;
  IoKind kind = IoKind::read;
  std::uint16_t thread = 0;       ///< that submits; below HostCost::threads
  std::int64_t offset_bytes = 0;  ///< multiple of block_bytes
  std::int64_t length_bytes = 0;  ///< positive multiple of block_bytes
  double submit_s = 0.0;
};

/// submit_s <= start_s <= device_s <= done_s.
struct IoDone {
  std::uint64_t id = 0;
  double start_s = 0.0;   ///< when the host began to submit it
  double device_s = 0.0;  ///< when the device had done its part; the rest is the host's
  double done_s = 0.0;    ///< when the thread that asked has it
};

struct DeviceLimits {
  std::int64_t queue_depth = 0;
  std::int64_t block_bytes = 4096;
  std::int64_t max_transfer_bytes = 0;
  double link_bytes_per_s = 0.0;
};

/// What one kind of resource of a device did since the start of the run.
struct ResourceStats {
  std::string name;
  std::int64_t servers = 1;
  std::int64_t served = 0;  ///< operations
  double busy_s = 0.0;      ///< sum of service times over all servers
  double waited_s = 0.0;    ///< sum over operations of the time between arrival and start

  double utilisation(double elapsed_s) const { return busy_s / (static_cast<double>(servers) * elapsed_s); }
  /// Mean number of operations that wait, all servers together: by Little's law, arrivals per second times
  /// the mean wait.
  double mean_queue(double elapsed_s) const { return waited_s / elapsed_s; }
};

/// Counts since the start of the run. What a fidelity cannot know is 0 and its file says so.
struct DeviceStats {
  std::int64_t reads = 0;  ///< requests
  std::int64_t writes = 0;
  std::int64_t read_bytes = 0;
  std::int64_t written_bytes = 0;
  std::int64_t commands = 0;   ///< requests split at the largest transfer
  double map_misses = 0.0;     ///< commands that waited for a mapping page; expected value in formulas
  double sensed_bytes = 0.0;   ///< read from the array for reads, whole pages, mapping pages apart
  double slc_bytes = 0.0;      ///< programmed into the SLC pool
  double tlc_bytes = 0.0;      ///< programmed elsewhere, amplification and folding included
  double folded_bytes = 0.0;   ///< moved out of the pool; part of tlc_bytes
  double busy_s = 0.0;         ///< time with at least one request outstanding
  double outstanding_s = 0.0;  ///< integral over time of the number of outstanding requests
  double response_s = 0.0;     ///< sum of done_s - submit_s; equals outstanding_s once all are done
  double host_busy_s = 0.0;    ///< processor time that commands took
  std::vector<ResourceStats> resources;
};

/// Energy since the start of the run, in J.
struct DeviceEnergy {
  double idle_j = 0.0;     ///< idle power times all the time that passed
  double command_j = 0.0;  ///< controller, by command
  double read_j = 0.0;     ///< array and transfer, by bytes sensed
  double mapping_j = 0.0;  ///< mapping pages read
  double write_j = 0.0;    ///< by bytes programmed

  double total_j() const { return idle_j + command_j + read_j + mapping_j + write_j; }
};

/// How far a model was off the batches that were measured on a real device; relative errors,
/// |predicted - measured| / measured.
struct ModelError {
  std::string model;
  std::int64_t batches = 0;
  double median = 0.0;
  double p95 = 0.0;
  double p99 = 0.0;
  double total_time = 0.0;  ///< signed, (predicted - measured) / measured of the sum over all batches
};

/// A flash device in simulated time, seconds since the start of the run.
///
/// Requests may exceed the queue depth: the host side queues. Requests submitted in one call with the same
/// `submit_s` form a batch; batches are submitted in order of time, none before what `advance` has reached.
/// `advance` never goes back in time; every request completes exactly once.
class FlashDevice {
 public:
  static constexpr std::string_view kKind = "device";
  /// All implementations are driven by one set of parameters, so that one file describes a part at every
  /// fidelity: choosing another `type` keeps the values.
  static constexpr bool kSharedParameters = true;
  struct Context {
    HostCost host;
    std::uint64_t root_seed = 0;
  };

  virtual ~FlashDevice() = default;

  virtual DeviceLimits limits() const = 0;
  /// Bytes of flash over which requests are spread from now on; what the mapping table must cover.
  virtual void set_working_set(std::int64_t bytes) = 0;
  virtual void submit(std::span<const IoRequest> requests) = 0;
  /// Earliest completion that `advance` has not delivered; infinity when nothing is outstanding. Who asks
  /// waits for it: nothing may be submitted before the time returned.
  virtual double next_event_s() = 0;
  /// Delivers every completion up to and including `to_s`, in order of time, ties by id.
  virtual void advance(double to_s, std::vector<IoDone>& done) = 0;
  virtual DeviceStats stats() const = 0;
  /// `at_s`: up to when idle power counts.
  virtual DeviceEnergy energy(double at_s) const = 0;
  /// What a reader of the results must know, e.g. that times were measured here; one sentence each.
  virtual std::vector<std::string> notes() const { return {}; }
  /// Parameters that have no effect with the host that the device was made for, besides those that have none
  /// with any.
  virtual std::vector<IdleParam> idle_with_host() const { return {}; }
  /// One per model that was asked beside a real device; empty for models.
  virtual std::vector<ModelError> model_errors() const { return {}; }
  /// See Report.
  virtual void report(Report& /*report*/) const {}
  /// next_event_s() for who has more to submit at `limit_s`: where nothing completes up to then, any later
  /// time, and what is submitted from `limit_s` on still counts. The default is for devices that find all
  /// completions of a batch when it is submitted.
  virtual double next_event_up_to_s([[maybe_unused]] double limit_s) { return next_event_s(); }
  /// Whether batches that are outstanding together share the device; otherwise one is served after the other.
  virtual bool serves_batches_together() const { return false; }
};

}  // namespace kvr

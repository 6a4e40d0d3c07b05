#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/interfaces/compute_model.hpp"

namespace kvr {

enum class IoKind : std::uint8_t { read, write };

struct IoRequest {
  std::uint64_t id = 0;
  IoKind kind = IoKind::read;
  std::uint16_t thread = 0;
  std::int64_t offset_bytes = 0;  ///< multiple of block_bytes
  std::int64_t length_bytes = 0;  ///< positive multiple of block_bytes
  double submit_s = 0.0;
};

struct IoDone {
  std::uint64_t id = 0;
  double start_s = 0.0;  ///< when the device took it up
  double done_s = 0.0;   ///< when the host has it
};

struct DeviceLimits {
  std::int64_t queue_depth = 0;
  std::int64_t block_bytes = 4096;
  std::int64_t max_transfer_bytes = 0;
  double link_bytes_per_s = 0.0;
};

struct DeviceStats {
  std::int64_t reads = 0;
  std::int64_t writes = 0;
  std::int64_t read_bytes = 0;
  std::int64_t written_bytes = 0;
  double busy_s = 0.0;  ///< time with at least one request outstanding
};

/// A flash device in simulated time, seconds since the start of the run.
///
/// Requests may exceed the queue depth: the host side queues. Requests submitted in one call with the same
/// `submit_s` form a batch. `advance` never goes back in time; every request completes exactly once with
/// submit_s <= start_s <= done_s.
class FlashDevice {
 public:
  static constexpr std::string_view kKind = "device";
  struct Context {
    HostCost host;
    std::uint64_t root_seed = 0;
  };

  virtual ~FlashDevice() = default;

  virtual DeviceLimits limits() const = 0;
  /// Bytes of flash over which requests are spread from now on; what the mapping table must cover.
  virtual void set_working_set(std::int64_t bytes) = 0;
  virtual void submit(std::span<const IoRequest> requests) = 0;
  /// Earliest completion that `advance` has not delivered; infinity when nothing is outstanding.
  virtual double next_event_s() const = 0;
  /// Delivers every completion up to and including `to_s`, in order of time, ties by id.
  virtual void advance(double to_s, std::vector<IoDone>& done) = 0;
  virtual DeviceStats stats() const = 0;
};

}  // namespace kvr

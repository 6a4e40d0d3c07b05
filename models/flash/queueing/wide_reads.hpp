#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "models/flash/device_params.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// The wide reads (DeviceParams::wide_above) that the controller serves at once; further ones wait in order,
/// while smaller commands pass them.
class WideReads {
 public:
  explicit WideReads(const DeviceParams& device)
      : bounded_(device.wide_reads > 0),
        above_bytes_(device.wide_above),
        free_(device.wide_reads),
        stats_{"wide_reads", device.wide_reads, 0, 0.0, 0.0} {}

  bool bounded() const { return bounded_; }
  bool concerns(std::int64_t bytes) const { return bounded_ && bytes > above_bytes_; }

  /// Whether `command` is served from now on; otherwise `leave` of another one names it.
  bool enter(double at_s, std::uint32_t command) {
    if (free_ == 0) {
      waiting_.push_back({command, at_s});
      return false;
    }
    settle(at_s);
    --free_;
    ++stats_.served;
    return true;
  }

  /// One has been served; the next one, if any waits, takes its place.
  std::optional<std::uint32_t> leave(double at_s) {
    settle(at_s);
    if (waiting_.empty()) {
      ++free_;
      return std::nullopt;
    }
    const Waiting next = waiting_.front();
    waiting_.pop_front();
    ++stats_.served;
    stats_.waited_s += at_s - next.since_s;
    return next.command;
  }

  ResourceStats stats(double at_s) const {
    ResourceStats stats = stats_;
    stats.busy_s += busy(at_s);
    return stats;
  }

 private:
  struct Waiting {
    std::uint32_t command;
    double since_s;
  };

  double busy(double at_s) const { return static_cast<double>(stats_.servers - free_) * (at_s - since_s_); }
  void settle(double at_s) {
    stats_.busy_s += busy(at_s);
    since_s_ = at_s;
  }

  bool bounded_;
  std::int64_t above_bytes_;
  std::int64_t free_;
  std::deque<Waiting> waiting_;
  double since_s_ = 0.0;
  ResourceStats stats_;
};

}  // namespace kvr::flash

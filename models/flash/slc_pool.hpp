#pragma once

#include "models/flash/device_params.hpp"

namespace kvr::flash {

/// A token bucket of SLC bytes: writes go at slc_bandwidth while the pool has room, then at
/// tlc_bandwidth / write_amplification; idle time beyond fold_delay makes room again at fold_bandwidth.
class SlcPool {
 public:
  explicit SlcPool(const DeviceParams& device);

  /// Takes `bytes` in and returns how long programming them lasts.
  double write_s(double bytes);
  /// One stretch of time without requests.
  void idle(double seconds);
  /// Moves at most `bytes` out of the pool; returns how many.
  double fold(double bytes);
  double free_bytes() const { return free_bytes_; }
  double used_bytes() const { return capacity_bytes_ - free_bytes_; }

  /// Programmed so far: into the pool; elsewhere, with amplification and folding; by folding alone.
  double slc_bytes() const { return slc_bytes_; }
  double tlc_bytes() const { return tlc_bytes_; }
  double folded_bytes() const { return folded_bytes_; }

 private:
  double capacity_bytes_;
  double free_bytes_;
  double slc_bytes_per_s_;
  double tlc_bytes_per_s_;
  double fold_bytes_per_s_;
  double fold_delay_s_;
  double amplification_;
  double slc_bytes_ = 0.0;
  double tlc_bytes_ = 0.0;
  double folded_bytes_ = 0.0;
};

}  // namespace kvr::flash

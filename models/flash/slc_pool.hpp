#pragma once

#include "models/flash/device_params.hpp"

namespace kvr::flash {

/// A token bucket of SLC bytes: writes go at slc_bandwidth while the pool has room, then at
/// tlc_bandwidth / write_amplification; idle time makes room again at fold_bandwidth.
class SlcPool {
 public:
  explicit SlcPool(const DeviceParams& device);

  /// Takes `bytes` in and returns how long programming them lasts.
  double write_s(double bytes);
  void idle(double seconds);
  double free_bytes() const { return free_bytes_; }

 private:
  double capacity_bytes_;
  double free_bytes_;
  double slc_bytes_per_s_;
  double tlc_bytes_per_s_;
  double fold_bytes_per_s_;
};

}  // namespace kvr::flash

#include "models/flash/slc_pool.hpp"

#include <algorithm>

namespace kvr::flash {

SlcPool::SlcPool(const DeviceParams& device)
    : capacity_bytes_(static_cast<double>(device.slc_pool)),
      free_bytes_(capacity_bytes_),
      slc_bytes_per_s_(device.slc_bandwidth),
      tlc_bytes_per_s_(device.tlc_bandwidth / device.write_amplification),
      fold_bytes_per_s_(device.fold_bandwidth) {}

double SlcPool::write_s(double bytes) {
  const double fast = std::min(bytes, free_bytes_);
  free_bytes_ -= fast;
  return fast / slc_bytes_per_s_ + (bytes - fast) / tlc_bytes_per_s_;
}

void SlcPool::idle(double seconds) {
  free_bytes_ = std::min(capacity_bytes_, free_bytes_ + seconds * fold_bytes_per_s_);
}

}  // namespace kvr::flash

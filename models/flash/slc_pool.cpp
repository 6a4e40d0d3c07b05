#include "models/flash/slc_pool.hpp"

#include <algorithm>

namespace kvr::flash {

SlcPool::SlcPool(const DeviceParams& device)
    : capacity_bytes_(static_cast<double>(device.slc_pool)),
      free_bytes_(capacity_bytes_),
      slc_bytes_per_s_(device.slc_bandwidth),
      tlc_bytes_per_s_(device.tlc_bandwidth / device.write_amplification),
      fold_bytes_per_s_(device.fold_bandwidth),
      fold_delay_s_(device.fold_delay),
      amplification_(device.write_amplification) {}

double SlcPool::write_s(double bytes) {
  const double fast = std::min(bytes, free_bytes_);
  free_bytes_ -= fast;
  slc_bytes_ += fast;
  tlc_bytes_ += (bytes - fast) * amplification_;
  return fast / slc_bytes_per_s_ + (bytes - fast) / tlc_bytes_per_s_;
}

void SlcPool::idle(double seconds) {
  fold(std::max(0.0, seconds - fold_delay_s_) * fold_bytes_per_s_);
}

double SlcPool::fold(double bytes) {
  const double folded = std::min(bytes, used_bytes());
  free_bytes_ += folded;
  folded_bytes_ += folded;
  tlc_bytes_ += folded;
  return folded;
}

}  // namespace kvr::flash

#pragma once

#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr {

/// What flash requests cost the computation beside them:
///
///   delay of a request = per_read_byte * bytes read + per_host * (commands * host time of a command
///                        + bytes * host time of a byte)
///
/// charged whole when the request completes, which is about when its data move, to what is computed then;
/// nothing if nothing is. A computation of b bytes beside reads at a rate R, with per_read_byte = kappa / BW,
/// takes t = b / BW + kappa * R * t / BW, which is b / (BW - kappa * R).
class Contention {
 public:
  Contention() = default;
  Contention(const IoContention& cost, const HostCost& host, const DeviceLimits& limits)
      : cost_(cost), host_(host), command_bytes_(limits.max_transfer_bytes) {}

  double delay_s(const IoRequest& request) const {
    const auto bytes = static_cast<double>(request.length_bytes);
    double delay_s = request.kind == IoKind::read ? cost_.per_read_byte_s * bytes : 0.0;
    if (cost_.per_host_s > 0.0) {
      const std::int64_t commands = (request.length_bytes + command_bytes_ - 1) / command_bytes_;
      delay_s += cost_.per_host_s *
                 (static_cast<double>(commands) * host_.command_s(0.0) + host_.per_byte_s * bytes);
    }
    return delay_s;
  }

 private:
  IoContention cost_;
  HostCost host_;
  std::int64_t command_bytes_ = 1;
};

}  // namespace kvr

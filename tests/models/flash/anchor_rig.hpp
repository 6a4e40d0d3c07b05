#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "models/flash/closed_loop.hpp"
#include "models/flash/device_params.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash::test {

constexpr double kKiB = 1024.0;
constexpr double kMiB = 1024.0 * kKiB;
constexpr double kGiB = 1024.0 * kMiB;
/// Far more than any mobile part's mapping covers.
constexpr double kWide = 64.0 * kGiB;

/// 1.5 us and 8500 cycles a command, from a big and a little core of a Snapdragon 8 Gen 3 (PowerInfer-2).
constexpr HostCost kBigCore{1.5e-6, 8500.0, 3.3e9, 0.0, 15e-6, 1};
constexpr HostCost kLittleCore{1.5e-6, 8500.0, 2.2e9, 0.0, 15e-6, 1};

enum class Fidelity { analytic, queueing };
const char* name_of(Fidelity fidelity);

/// A load as published measurements state it. Queue depth is per thread, as in fio.
struct Point {
  double kib = 4.0;
  std::int64_t depth = 32;
  double range_bytes = kWide;
  std::int64_t threads = 1;
  bool sequential = false;
};

/// One device at one fidelity with a host: what a benchmark on it would measure.
class Rig {
 public:
  /// A shipped device with the host of its own fit.
  Rig(Fidelity fidelity, const std::string& device);

  Rig& host(const HostCost& cost) {
    host_ = cost;
    return *this;
  }
  DeviceParams& device() { return device_; }

  double requests_per_s(const Point& point) const;
  double megabytes_per_s(const Point& point) const { return requests_per_s(point) * point.kib * kKiB / 1e6; }
  /// Mean, submission to completion.
  double latency_us(const Point& point) const;
  /// Random reads at queue depth 32: the size where bandwidth is 0.8 of its maximum.
  double knee_kib() const;

  std::unique_ptr<FlashDevice> make(std::int64_t threads = 1, std::uint64_t seed = 1) const;

 private:
  LoadResult run(const Point& point) const;

  Fidelity fidelity_;
  DeviceParams device_;
  HostCost host_;
};

inline bool within(double value, double low, double high) {
  return low <= value && value <= high;
}

}  // namespace kvr::flash::test

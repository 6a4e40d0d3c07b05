#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// When a server worked on something.
struct Service {
  double start_s;
  double end_s;
};

/// Equal servers that take what comes first. Because events are handled in order of time, a queue need not be
/// kept: it is enough to know when each server is free, and to reserve it as things arrive.
class Servers {
 public:
  Servers(std::string name, std::int64_t count)
      : stats_{std::move(name), count, 0, 0.0, 0.0}, free_s_(static_cast<std::size_t>(count), 0.0) {}

  Service reserve(double at_s, double service_s) {
    double& free_s =
        free_s_.size() == 1 ? free_s_.front() : *std::min_element(free_s_.begin(), free_s_.end());
    const double start_s = std::max(at_s, free_s);
    free_s = start_s + service_s;
    ++stats_.served;
    stats_.busy_s += service_s;
    stats_.waited_s += start_s - at_s;
    return {start_s, free_s};
  }

  const ResourceStats& stats() const { return stats_; }

 private:
  ResourceStats stats_;
  std::vector<double> free_s_;
};

}  // namespace kvr::flash

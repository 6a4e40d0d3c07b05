#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/flash/fit/model.hpp"
#include "models/flash/fit/row.hpp"
#include "models/flash/fit/variable.hpp"

namespace kvr::flash::fit {

/// How hard to search: simulations of all rows, and requests of all rows together in each, so that a file of
/// many rows takes no longer.
struct Effort {
  int evaluations;
  std::int64_t requests;
};
inline constexpr Effort kScout{30, 4000};
inline constexpr Effort kRefine{100, 12'000};
inline constexpr Effort kPolish{80, 30'000};

/// Fits what only the event-driven device reads. What the rows hardly show stays near its start.
/// Deterministic.
class EventFit {
 public:
  /// `rows` are reads of one thread, not empty.
  EventFit(std::span<const Row> rows, std::uint64_t seed, bool link_is_known,
           std::function<void()> evaluated);

  /// `device` with the numbers of dies that can be, 1, 2, 4 to 64, each with times to start from. The closed
  /// formulas are fitted, and the event-driven parameters have their start values (consistent.hpp).
  std::vector<DeviceParams> starts(const DeviceParams& device) const;
  /// `centre`: the closed fit's device, which parameters are pulled to. Searches read_time,
  /// channel_bandwidth, firmware_time, fit_host_wake, unless known link and, with `has_ranges`,
  /// map_read_time. Returns the device and its cost, about the mean square of log(predicted / measured).
  std::pair<DeviceParams, double> search(const DeviceParams& start, const DeviceParams& centre,
                                         const Effort& effort, bool has_ranges) const;
  /// Tries 128 KiB to 1 MiB for max_transfer, as far as rows are long enough to show it.
  DeviceParams with_best_transfer(const DeviceParams& start) const;
  /// Whether rows are longer than `transfer_bytes`.
  bool shows(std::int64_t transfer_bytes) const { return largest_bytes_ > transfer_bytes; }

  /// Of each parameter that `search` searches, by name, whether the rows show it: whether they become less
  /// likely, by one standard deviation of theirs, when it is 25 % larger or smaller.
  std::vector<std::pair<std::string, bool>> shown(const DeviceParams& device, bool has_ranges) const;
  /// The same of the number of dies, doubled or halved with read_time in proportion.
  bool shows_dies(const DeviceParams& device, bool has_ranges) const;

 private:
  std::vector<Variable> variables(const DeviceParams& start, bool has_ranges) const;
  std::pair<DeviceParams, double> device_at(const DeviceParams& start, std::span<const Variable> free,
                                            std::span<const double> at) const;
  double pull(const DeviceParams& device, const DeviceParams& centre, std::span<const Variable> free) const;
  /// Whether the rows tell `other` from `device`.
  bool tells(const DeviceParams& device, const DeviceParams& other) const;
  double mean_square(const DeviceParams& device, std::int64_t requests) const;

  std::span<const Row> rows_;
  std::uint64_t seed_;
  bool link_is_known_;
  std::function<void()> evaluated_;
  std::int64_t largest_bytes_ = 0;
  double carried_per_s_ = 0.0;  ///< bytes of the fastest row, if bandwidth limits it; else 0
};

}  // namespace kvr::flash::fit

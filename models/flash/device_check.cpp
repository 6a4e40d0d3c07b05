#include <fmt/format.h>

#include <bit>
#include <utility>

#include "models/flash/device_params.hpp"
#include "sim/error.hpp"

namespace kvr::flash {

namespace {

constexpr double kKiB = 1024.0;

/// Collects what is wrong with one parameter set.
class Checker {
 public:
  explicit Checker(const DeviceParams& params) : p_(params) {}

  std::vector<std::string> run() {
    sizes();
    bandwidths();
    latencies();
    return std::move(problems_);
  }

 private:
  template <class... Args>
  void require(bool sound, fmt::format_string<Args...> problem, Args&&... args) {
    if (!sound) {
      problems_.push_back(fmt::format("device {}: ", p_.name) +
                          fmt::format(problem, std::forward<Args>(args)...));
    }
  }

  void sizes() {
    require(std::has_single_bit(static_cast<std::uint64_t>(p_.block)), "block ({} B) is no power of two",
            p_.block);
    require(p_.max_transfer % p_.block == 0, "max_transfer ({} B) is no multiple of block ({} B)",
            p_.max_transfer, p_.block);
    require(p_.stripe % p_.block == 0, "stripe ({} B) is no multiple of block ({} B)", p_.stripe, p_.block);
  }

  void bandwidths() {
    const double all_channels = static_cast<double>(p_.channels) * p_.channel_bandwidth;
    require(p_.read_bandwidth <= p_.link, "read_bandwidth ({:.4g} B/s) exceeds the link ({:.4g} B/s)",
            p_.read_bandwidth, p_.link);
    require(p_.read_bandwidth <= all_channels,
            "read_bandwidth ({:.4g} B/s) exceeds what the channels deliver together ({:.4g} B/s)",
            p_.read_bandwidth, all_channels);
    const double dies = static_cast<double>(p_.stripe) / p_.hit_time;
    require(
        p_.read_bandwidth <= dies,
        "read_bandwidth ({:.4g} B/s) exceeds what the dies deliver, one stripe each hit_time ({:.4g} B/s)",
        p_.read_bandwidth, dies);
    require(p_.slc_bandwidth <= p_.link, "slc_bandwidth ({:.4g} B/s) exceeds the link ({:.4g} B/s)",
            p_.slc_bandwidth, p_.link);
    require(p_.tlc_bandwidth <= p_.slc_bandwidth,
            "tlc_bandwidth ({:.4g} B/s) exceeds slc_bandwidth ({:.4g} B/s)", p_.tlc_bandwidth,
            p_.slc_bandwidth);
    require(
        p_.latency_bandwidth <= p_.read_bandwidth,
        "latency_bandwidth ({:.4g} B/s) exceeds read_bandwidth ({:.4g} B/s): one read alone would be faster "
        "than many",
        p_.latency_bandwidth, p_.read_bandwidth);
    require(p_.hw_queues == 1 || p_.contention == 0.0,
            "contention ({:.4g}) is of threads on one queue, but hw_queues is {}", p_.contention,
            p_.hw_queues);
  }

  void latencies() {
    const double host =
        p_.fit_host_command + p_.fit_host_wake + p_.fit_host_per_kib * static_cast<double>(p_.block) / kKiB;
    require(p_.latency >= host + p_.hit_time,
            "latency ({:.4g} s) is below what it contains, fit_host_* ({:.4g} s) and hit_time ({:.4g} s)",
            p_.latency, host, p_.hit_time);
    require(p_.map_latency >= p_.miss_time, "map_latency ({:.4g} s) is below miss_time ({:.4g} s)",
            p_.map_latency, p_.miss_time);
    require(p_.fit_host_per_kib / kKiB <= 1.0 / p_.latency_bandwidth,
            "fit_host_per_kib ({:.4g} s) exceeds the growth of latency it is contained in ({:.4g} s)",
            p_.fit_host_per_kib, kKiB / p_.latency_bandwidth);
  }

  const DeviceParams& p_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> check(const DeviceParams& params) {
  return Checker(params).run();
}

void require_sound(const DeviceParams& params) {
  if (auto problems = check(params); !problems.empty()) {
    throw InputError(std::move(problems));
  }
}

}  // namespace kvr::flash

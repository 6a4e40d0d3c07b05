// What contradicts itself across the parameters of one device. Each problem begins with the parameter that is
// named first, so that whoever knows the configuration can say where it was given.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "models/flash/device_params.hpp"
#include "sim/base/error.hpp"

namespace kvr::flash {

namespace {

constexpr double kKiB = 1024.0;
/// A part that throttles further is off.
constexpr double kLeastShare = 1e-3;

std::string megabytes(double bytes_per_s) {
  return fmt::format("{:.4g} MB/s", bytes_per_s / 1e6);
}

std::string microseconds(double seconds) {
  return fmt::format("{:.4g} us", seconds * 1e6);
}

/// Collects what is wrong with one parameter set.
class Checker {
 public:
  explicit Checker(const DeviceParams& params) : p_(params) {}

  std::vector<std::string> run() {
    sizes();
    link();
    read_bandwidths();
    write_bandwidths();
    heat();
    latencies();
    return std::move(problems_);
  }

 private:
  template <class... Args>
  void require(bool sound, std::string_view key, fmt::format_string<Args...> problem, Args&&... args) {
    if (!sound) {
      problems_.push_back(fmt::format("{}: {}", key, fmt::format(problem, std::forward<Args>(args)...)));
    }
  }

  void require_multiple(std::string_view key, std::int64_t bytes, std::string_view of, std::int64_t unit) {
    require(bytes % unit == 0, key, "is no multiple of {} ({} B); allowed: multiples of {} B", of, bytes,
            unit);
  }

  void require_power_of_two(std::string_view key, std::int64_t bytes) {
    require(std::has_single_bit(static_cast<std::uint64_t>(bytes)), key,
            "is no power of two ({} B); allowed: powers of two", bytes);
  }

  void require_at_most(std::string_view key, double bytes_per_s, double limit, std::string_view what) {
    require(bytes_per_s <= limit, key, "exceeds {} ({}); allowed: at most {}", what, megabytes(bytes_per_s),
            megabytes(limit));
  }

  void sizes() {
    require_power_of_two("block", p_.block);
    require_power_of_two("stripe", p_.stripe);
    require_multiple("max_transfer", p_.max_transfer, "block", p_.block);
    require_multiple("stripe", p_.stripe, "block", p_.block);
    require_multiple("page", p_.page, "block", p_.block);
    require_multiple("erase_block", p_.erase_block, "stripe", p_.stripe);
    require(p_.page <= p_.stripe, "page", "exceeds stripe ({} B); allowed: at most {} B", p_.page, p_.stripe);
  }

  /// Otherwise even commands of the largest size would leave more than half of the link to overhead.
  void link() {
    const double data = static_cast<double>(p_.max_transfer) / p_.link;
    require(p_.command_link_time < data, "command_link_time",
            "is not below the link time of the data of max_transfer ({}); allowed: below {}",
            microseconds(p_.command_link_time), microseconds(data));
  }

  void read_bandwidths() {
    require_at_most("read_bandwidth", p_.read_bandwidth, p_.link, "link");
    require_at_most("read_bandwidth", p_.read_bandwidth,
                    static_cast<double>(p_.channels) * p_.channel_bandwidth,
                    "what the channels deliver together");
    require_at_most("read_bandwidth", p_.read_bandwidth, static_cast<double>(p_.stripe) / p_.hit_time,
                    "what the dies deliver, one stripe each hit_time");
    require_at_most("latency_bandwidth", p_.latency_bandwidth, p_.read_bandwidth,
                    "read_bandwidth, so that one read alone would be faster than many");
    require(p_.hw_queues == 1 || p_.contention == 0.0, "contention",
            "is of threads on one queue ({:.4g}), but hw_queues is {}; allowed: 0", p_.contention,
            p_.hw_queues);
  }

  /// Bytes per second that all dies program at `program_time` a stripe.
  double program_bandwidth(double program_time) const {
    return static_cast<double>(p_.channels * p_.dies_per_channel * p_.stripe) / program_time;
  }

  void write_bandwidths() {
    require_at_most("slc_bandwidth", p_.slc_bandwidth, p_.link, "link");
    require_at_most("slc_bandwidth", p_.slc_bandwidth, program_bandwidth(p_.slc_program_time),
                    "what the dies program, one stripe each slc_program_time");
    require_at_most("tlc_bandwidth", p_.tlc_bandwidth, p_.slc_bandwidth, "slc_bandwidth");
    require_at_most("tlc_bandwidth", p_.tlc_bandwidth, program_bandwidth(p_.tlc_program_time),
                    "what the dies program, one stripe each tlc_program_time");
  }

  /// Rates must stay such that times are finite.
  void heat() {
    const double narrowest = std::min({p_.channel_bandwidth, p_.link, p_.latency_bandwidth});
    require(narrowest * p_.thermal_factor() >= bounds::kSlowest * kLeastShare, "hot_bandwidth",
            "leaves {} of the narrowest bandwidth ({:.4g}); allowed: at least {}",
            megabytes(narrowest * p_.thermal_factor()), p_.hot_bandwidth,
            megabytes(bounds::kSlowest * kLeastShare));
  }

  void latencies() {
    const double host =
        p_.fit_host_command + p_.fit_host_wake + p_.fit_host_per_kib * static_cast<double>(p_.block) / kKiB;
    require(p_.latency >= host + p_.hit_time, "latency",
            "is below what it contains, fit_host_* and hit_time ({}); allowed: at least {}",
            microseconds(p_.latency), microseconds(host + p_.hit_time));
    require(p_.map_latency >= p_.miss_time, "map_latency", "is below miss_time ({}); allowed: at least {}",
            microseconds(p_.map_latency), microseconds(p_.miss_time));
    const double growth = kKiB / p_.latency_bandwidth;
    require(p_.fit_host_per_kib <= growth, "fit_host_per_kib",
            "exceeds the growth of latency that contains it ({}); allowed: at most {}",
            microseconds(p_.fit_host_per_kib), microseconds(growth));
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

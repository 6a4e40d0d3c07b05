#include "models/flash/fit/consistent.hpp"

#include <algorithm>
#include <cmath>

namespace kvr::flash::fit {
namespace {

constexpr double kKiB = 1024.0;

/// `value` with four digits, which `round` chooses.
double four_digits(double value, double (*round)(double)) {
  if (value == 0.0 || !std::isfinite(value)) {
    return value;
  }
  constexpr double kDigits = 4.0;
  const double shift = kDigits - 1.0 - std::floor(std::log10(std::abs(value)));
  // Dividing by a power of ten rounds once; multiplying by a negative one would round twice.
  return shift >= 0.0 ? round(value * std::pow(10.0, shift)) / std::pow(10.0, shift)
                      : round(value / std::pow(10.0, -shift)) * std::pow(10.0, -shift);
}

/// Collects what had to change.
class Settler {
 public:
  explicit Settler(DeviceParams& device) : d_(device) {}

  std::vector<std::string> run() {
    host();
    lower("read_bandwidth", d_.read_bandwidth,
          std::min(static_cast<double>(d_.channels) * d_.channel_bandwidth,
                   static_cast<double>(d_.stripe) / d_.hit_time));
    lower("latency_bandwidth", d_.latency_bandwidth, d_.read_bandwidth);
    raise("link", d_.link, d_.read_bandwidth);
    raise("map_latency", d_.map_latency, d_.miss_time);
    lower("slc_bandwidth", d_.slc_bandwidth, d_.link);
    lower("tlc_bandwidth", d_.tlc_bandwidth, d_.slc_bandwidth);
    lower("fold_bandwidth", d_.fold_bandwidth, d_.tlc_bandwidth);
    const auto stripes = static_cast<double>(d_.channels * d_.dies_per_channel * d_.stripe);
    lower("slc_program_time", d_.slc_program_time, stripes / d_.slc_bandwidth);
    lower("tlc_program_time", d_.tlc_program_time, stripes / d_.tlc_bandwidth);
    return std::move(changed_);
  }

 private:
  void lower(const char* name, double& value, double highest) {
    if (value > highest) {
      constexpr double kMargin = 1.0 - 1e-9;  // sums in another order
      value = four_digits(kMargin * highest, std::floor);
      changed_.emplace_back(name);
    }
  }
  void raise(const char* name, double& value, double lowest) {
    if (value < lowest) {
      constexpr double kMargin = 1.0 + 1e-9;
      value = four_digits(kMargin * lowest, std::ceil);
      changed_.emplace_back(name);
    }
  }

  /// Latency contains the host's terms and hit_time.
  void host() {
    const double bytes_s = d_.fit_host_per_kib * static_cast<double>(d_.block) / kKiB;
    raise("latency", d_.latency, bytes_s + d_.hit_time);
    const double free_s = d_.latency - bytes_s - d_.hit_time;
    lower("fit_host_command", d_.fit_host_command, std::max(0.0, free_s));
    lower("fit_host_wake", d_.fit_host_wake, std::max(0.0, free_s - d_.fit_host_command));
    lower("fit_host_per_kib", d_.fit_host_per_kib, kKiB / d_.latency_bandwidth);
  }

  DeviceParams& d_;
  std::vector<std::string> changed_;
};

}  // namespace

double map_latency_s(const DeviceParams& device) {
  const DeviceParams& d = device;
  return std::max(d.miss_time,
                  d.map_read_time + d.firmware_time + static_cast<double>(d.block) / d.channel_bandwidth);
}

void start_event_parameters(const DeviceParams& base, std::optional<double> link_bytes_per_s, Model& model) {
  DeviceParams& d = model.device;
  const double wider = d.read_bandwidth / base.read_bandwidth;
  const double slower = d.hit_time / base.hit_time;
  d.link = std::max(link_bytes_per_s.value_or(base.link * wider), d.read_bandwidth);
  d.channel_bandwidth = base.channel_bandwidth * wider;
  d.read_time = base.read_time * slower;
  d.map_read_time = base.map_read_time * slower;
  d.firmware_time = base.firmware_time * slower;
  if (link_bytes_per_s) {
    model.assume("link", "given");
  } else {
    model.keep("link", "the base's proportion to read_bandwidth");
  }
  model.keep("channel_bandwidth", "the base's proportion to read_bandwidth");
  for (const char* name : {"read_time", "map_read_time", "firmware_time"}) {
    model.keep(name, "the base's proportion to hit_time");
  }
}

std::vector<std::string> settle(DeviceParams& device) {
  return Settler(device).run();
}

void finish(Model& model) {
  DeviceParams& d = model.device;
  d.map_latency = map_latency_s(d);
  model.assume("map_latency", "map_read_time, a block on the channel and firmware_time; at least miss_time");
  d.fit_dies = d.channels * d.dies_per_channel;
  d.fit_read_bandwidth = d.read_bandwidth;
  model.assume("fit_dies", "channels times dies_per_channel");
  model.assume("fit_read_bandwidth", "read_bandwidth");
  for (const Param<DeviceParams>& param : device_param_table()) {
    if (param.spec().type == ValueType::real) {
      param.set(d, Value(four_digits(std::get<double>(param.get(d)), std::round)));
    }
  }
  for (const std::string& name : settle(d)) {
    if (const auto found = model.findings.find(name);
        found == model.findings.end() || found->second.origin == Origin::base) {
      model.assume(name, "the base's is at odds with what was measured: the nearest value that is not");
    }
  }
}

}  // namespace kvr::flash::fit

// The event-driven device, by simulation:
//
//   cost = mean square of log(predicted / measured) + pull to the centre + penalty outside bounds
//   pull = (5 % / 50 %)^2 / rows * sum over parameters of log(value / centre)^2       (variable.hpp)
//   search: Nelder and Mead's on the logarithms of the parameters
//
// The dies' start: all of them together take hit_time for a read, so read_time = dies * hit_time * what
// random placement leaves idle. fit_host_wake takes what the rest leaves of the latency at depth 1, so that
// moving read_time alone does not spoil the rows at depth 1. Every evaluation draws the same offsets, so that
// costs differ by the parameters only.
#include "models/flash/fit/event_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "models/flash/fit/closed_fit.hpp"
#include "models/flash/fit/consistent.hpp"
#include "models/flash/fit/nelder_mead.hpp"
#include "models/flash/fit/predict.hpp"

namespace kvr::flash::fit {
namespace {

constexpr double kKiB = 1024.0;
constexpr double kPenalty = 1.0;
constexpr double kStep = 0.25;
constexpr double kTolerance = 1e-7;
constexpr std::array<std::int64_t, 7> kDies = {1, 2, 4, 8, 16, 32, 64};
constexpr std::array<std::int64_t, 4> kTransfers = {131'072, 262'144, 524'288, 1'048'576};
constexpr double kBusyShare = 0.85;  ///< of the dies, at the depths that fill a queue

/// `device` with so many dies, on no more channels than it has.
DeviceParams with_dies(DeviceParams device, std::int64_t dies) {
  while (dies % device.channels != 0) {
    device.channels -= 1;
  }
  device.dies_per_channel = dies / device.channels;
  const double all_channels = static_cast<double>(device.channels) * device.channel_bandwidth;
  constexpr double kHeadroom = 1.1;
  device.channel_bandwidth *= std::max(1.0, kHeadroom * device.read_bandwidth / all_channels);
  const double ratio = device.map_read_time / device.read_time;
  device.read_time = kBusyShare * static_cast<double>(dies) * device.hit_time;
  device.map_read_time = ratio * device.read_time;
  return device;
}

/// What is left of the latency at depth 1 for the host's wake-up; below 0 if the rest takes longer.
double wake_s(const DeviceParams& d) {
  const auto block = static_cast<double>(d.block);
  return d.latency - d.fit_host_command - d.fit_host_per_kib * block / kKiB - d.firmware_time -
         d.command_delay - d.read_time - block / d.channel_bandwidth - block / d.link - d.command_link_time;
}

}  // namespace

EventFit::EventFit(std::span<const Row> rows, std::uint64_t seed, bool link_is_known,
                   std::function<void()> evaluated)
    : rows_(rows), seed_(seed), link_is_known_(link_is_known), evaluated_(std::move(evaluated)) {
  for (const Row& row : rows) {
    largest_bytes_ = std::max(largest_bytes_, row.bytes);
  }
  if (const Row& row = fastest_row(rows); shows_bandwidth(row)) {
    carried_per_s_ = row.bytes_per_s;
  }
}

std::vector<DeviceParams> EventFit::starts(const DeviceParams& device) const {
  std::vector<DeviceParams> all;
  for (const std::int64_t dies : kDies) {
    DeviceParams start = with_dies(device, dies);
    // One die is always tried, so that there is a start.
    if (dies == 1 || start.read_time < device.latency) {
      all.push_back(std::move(start));
    }
  }
  return all;
}

/// Link and channels carry at least what was measured. `latency` is a variable too, for the sake of the
/// wake-up that follows from it; the search does not change it in the end.
std::vector<Variable> EventFit::variables(const DeviceParams& start, bool has_ranges) const {
  constexpr double kMargin = 1.001;  // rounding to four digits must not fall below
  const double wide = carried_per_s_ > 0.0 ? carried_per_s_ : start.read_bandwidth;
  const double narrow = wide / static_cast<double>(start.channels);
  std::vector<Variable> all = {
      {"read_time", &DeviceParams::read_time, 5e-6, 2e-3},
      {"firmware_time", &DeviceParams::firmware_time, 0.1e-6, 1e-3},
      {"channel_bandwidth", &DeviceParams::channel_bandwidth, kMargin * narrow, 16.0 * narrow},
      {"latency", &DeviceParams::latency, 0.5 * start.latency, 2.0 * start.latency},
  };
  if (!link_is_known_) {
    all.push_back({"link", &DeviceParams::link, kMargin * wide, 2.0 * wide});
  }
  if (has_ranges) {
    all.push_back({"map_read_time", &DeviceParams::map_read_time, 1e-6, 2e-3});
  }
  return all;
}

/// The device at a point of the search, and what the point costs besides the rows' errors.
std::pair<DeviceParams, double> EventFit::device_at(const DeviceParams& start, std::span<const Variable> free,
                                                    std::span<const double> at) const {
  DeviceParams device = start;
  double penalty = kPenalty * set_point(device, free, at);
  const double left_s = wake_s(device);
  const double missing = std::min(0.0, left_s) / start.latency;
  penalty += kPenalty * missing * missing;
  device.fit_host_wake = std::max(0.0, left_s);
  device.latency = start.latency;
  device.read_bandwidth = std::min(device.read_bandwidth, device.link);  // the closed formulas are refitted
  settle(device);
  return {device, penalty};
}

double EventFit::pull(const DeviceParams& device, const DeviceParams& centre,
                      std::span<const Variable> free) const {
  const auto whole_square = [](std::int64_t value, std::int64_t middle) {
    const double away = std::log(static_cast<double>(value) / static_cast<double>(middle));
    return away * away;
  };
  const double whole = whole_square(device.stripe, centre.stripe) +
                       whole_square(device.channels, centre.channels) +
                       whole_square(device.dies_per_channel, centre.dies_per_channel) +
                       whole_square(device.max_transfer, centre.max_transfer);
  return pull_cost(whole + distance_square(device, centre, free), std::ssize(rows_));
}

double EventFit::mean_square(const DeviceParams& device, std::int64_t requests) const {
  double sum = 0.0;
  const std::int64_t each = requests / std::ssize(rows_);
  for (const Row& row : rows_) {
    const double error = std::log(predict_event(device, row, each, seed_) / row.requests_per_s);
    sum += error * error;
  }
  evaluated_();
  return sum / static_cast<double>(rows_.size());
}

std::pair<DeviceParams, double> EventFit::search(const DeviceParams& start, const DeviceParams& centre,
                                                 const Effort& effort, bool has_ranges) const {
  const std::vector<Variable> free = variables(start, has_ranges);
  const auto cost = [&](std::span<const double> point) {
    const auto [device, penalty] = device_at(start, free, point);
    return mean_square(device, effort.requests) + pull(device, centre, free) + penalty;
  };
  const Minimum found = nelder_mead(cost, point_of(start, free), kStep, effort.evaluations, kTolerance);
  return {device_at(start, free, found.at).first, found.value};
}

bool EventFit::tells(const DeviceParams& device, const DeviceParams& other) const {
  const double worse = mean_square(other, kPolish.requests) - mean_square(device, kPolish.requests);
  return worse * static_cast<double>(rows_.size()) > kRowError * kRowError;
}

std::vector<std::pair<std::string, bool>> EventFit::shown(const DeviceParams& device, bool has_ranges) const {
  constexpr double kChange = 1.25;
  const std::vector<Variable> free = variables(device, has_ranges);
  std::vector<std::pair<std::string, bool>> result;
  for (std::size_t i = 0; i < free.size(); ++i) {
    if (free[i].member == &DeviceParams::latency) {
      continue;
    }
    bool shows = false;
    for (const double factor : {kChange, 1.0 / kChange}) {
      std::vector<double> at = point_of(device, free);
      at[i] += std::log(factor);
      shows = shows || tells(device, device_at(device, free, at).first);
    }
    result.emplace_back(free[i].name, shows);
  }
  return result;
}

bool EventFit::shows_dies(const DeviceParams& device, bool has_ranges) const {
  const std::vector<Variable> free = variables(device, has_ranges);
  const auto other_with = [&](std::int64_t dies_per_channel) {
    DeviceParams other = device;
    other.dies_per_channel = dies_per_channel;
    other.read_time *= static_cast<double>(dies_per_channel) / static_cast<double>(device.dies_per_channel);
    return device_at(other, free, point_of(other, free)).first;
  };
  return tells(device, other_with(2 * device.dies_per_channel)) &&
         (device.dies_per_channel == 1 || tells(device, other_with(device.dies_per_channel / 2)));
}

DeviceParams EventFit::with_best_transfer(const DeviceParams& start) const {
  DeviceParams best = start;
  double least = mean_square(start, kRefine.requests);
  for (const std::int64_t bytes : kTransfers) {
    // All that no row exceeds are the same to the rows; then the start stays.
    if (bytes >= largest_bytes_ && start.max_transfer >= largest_bytes_) {
      continue;
    }
    DeviceParams device = start;
    device.max_transfer = bytes;
    if (const double error = mean_square(device, kRefine.requests); error < least) {
      least = error;
      best = device;
    }
  }
  return best;
}

}  // namespace kvr::flash::fit

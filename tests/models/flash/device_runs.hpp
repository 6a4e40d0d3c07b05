#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/flash/device_params.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::test {

std::unique_ptr<FlashDevice> make_device(const std::string& type, const flash::DeviceParams& params,
                                         const HostCost& host, std::uint64_t seed = 1);

/// Advances from completion to completion until nothing is outstanding.
std::vector<IoDone> drain(FlashDevice& device);

/// Submits `requests` at once and drains. Completions by id, which must be 0, 1, 2, ...
std::vector<IoDone> run_batch(FlashDevice& device, const std::vector<IoRequest>& requests);

/// When the last of them ends.
double makespan_s(FlashDevice& device, const std::vector<IoRequest>& requests);

/// The resource called `name`; it must be there.
ResourceStats resource(const DeviceStats& stats, const std::string& name);

/// 2^-20 s, nearly a microsecond. With sizes and bandwidths that are powers of two every time below is a
/// whole number of half ticks, exact in floating point, so that sums are compared with ==.
constexpr double kTick = 0x1p-20;

constexpr std::int64_t kKiB = 1024;

/// One die on one channel whose every stage shows in the sum. In ticks:
///   firmware 2, delay 5, read_time 50, map_read_time 70, programs 256 and 1024 a stripe of 64 KiB
///   4 KiB: channel 4, link 1;  64 KiB: channel 64, link 16;  each command 0.5 more on the link
/// The mapping is always at hand, dies do not suspend programs, nothing is amplified or folded.
flash::DeviceParams plain_device();

/// 4 ticks to submit, 4 to complete, 20 until the thread runs.
HostCost plain_host();

/// What the host adds to a command that its device has done, in ticks.
constexpr double kHome = 24.0;

/// A device of `params` to which single requests are given in ticks.
class Bench {
 public:
  explicit Bench(const flash::DeviceParams& params, const HostCost& host = plain_host());

  Bench& read(std::int64_t offset_bytes, std::int64_t bytes, double at_ticks = 0.0, std::uint16_t thread = 0);
  Bench& write(std::int64_t offset_bytes, std::int64_t bytes, double at_ticks = 0.0,
               std::uint16_t thread = 0);

  /// Ends of all requests since the last call, in ticks, in order of submission.
  std::vector<double> ends();
  /// Lets time pass; nothing may end on the way.
  void pass(double to_ticks);

  FlashDevice& device() { return *device_; }

 private:
  Bench& add(IoKind kind, std::int64_t offset_bytes, std::int64_t bytes, double at_ticks,
             std::uint16_t thread);

  std::unique_ptr<FlashDevice> device_;
  std::uint64_t first_ = 0;
  std::uint64_t next_ = 0;
};

}  // namespace kvr::test

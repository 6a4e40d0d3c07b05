#include "sim/cli/bench/devices.hpp"

#include <functional>
#include <memory>
#include <vector>

#include "models/flash/closed_loop.hpp"
#include "models/flash/device_params.hpp"
#include "sim/base/registry.hpp"
#include "sim/base/rng.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::bench {
namespace {

constexpr std::int64_t kReadBytes = 4096;
constexpr std::int64_t kRangeBytes = std::int64_t{64} << 30;
constexpr std::int64_t kDepth = 32;
constexpr std::int64_t kBatch = 64;
constexpr int kRuns = 10;
constexpr double kQueueingLeast = 1e6;
constexpr double kAnalyticLeast = 20e6;

/// The part that the parameters' defaults describe, with the host of its fit.
std::unique_ptr<FlashDevice> make(std::string_view type) {
  auto made = Registry<FlashDevice>::instance().create(type, {}, {flash::fit_host({}), 1});
  made->set_working_set(kRangeBytes);
  return made;
}

/// Runs that follow each other on one device; `run` returns the simulated time it took.
DeviceResult time_runs(DeviceResult result, const std::function<double()>& run) {
  std::vector<double> seconds;
  run();
  for (int i = 0; i < kRuns; ++i) {
    const double begin_s = thread_cpu_s();
    result.simulated_s = run();
    seconds.push_back(thread_cpu_s() - begin_s);
  }
  result.last_to_first = seconds.front() / seconds.back();
  result.cpu = summarise(std::move(seconds));
  return result;
}

/// Each run is about a second of simulated time.
DeviceResult measure_queueing() {
  const auto device = make("queueing");
  constexpr std::int64_t kRequests = 110'000;
  return time_runs({.name = "queueing",
                    .what = "4 KiB reads at queue depth 32 over 64 GiB, closed loop",
                    .requests = kRequests,
                    .least_per_s = kQueueingLeast},
                   [&device, now_s = 0.0]() mutable {
                     const auto result = flash::run_closed_loop(
                         *device, {.depth = kDepth, .range_bytes = kRangeBytes, .start_s = now_s}, 0,
                         kRequests);
                     now_s = result.ended_s;
                     return result.seconds;
                   });
}

std::vector<IoRequest> random_batch() {
  Rng rng = Rng::stream(1, "bench/devices");
  std::vector<IoRequest> batch(kBatch);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const auto block = static_cast<std::int64_t>(rng.below(kRangeBytes / kReadBytes));
    batch[i] = {.id = i, .offset_bytes = block * kReadBytes, .length_bytes = kReadBytes};
  }
  return batch;
}

DeviceResult measure_analytic() {
  const auto device = make("analytic");
  constexpr std::int64_t kBatches = 20'000;
  std::vector<IoRequest> batch = random_batch();
  std::vector<IoDone> done;
  double now_s = 0.0;
  return time_runs({.name = "analytic",
                    .what = "4 KiB reads in batches of 64 over 64 GiB, one batch after another",
                    .requests = kBatches * kBatch,
                    .least_per_s = kAnalyticLeast},
                   [&] {
                     const double begin_s = now_s;
                     for (std::int64_t i = 0; i < kBatches; ++i) {
                       for (IoRequest& request : batch) {
                         request.submit_s = now_s;
                       }
                       device->submit(batch);
                       done.clear();
                       device->advance(now_s + 1.0, done);
                       now_s = now_s + 1.0;
                     }
                     return now_s - begin_s;
                   });
}

}  // namespace

std::vector<DeviceResult> measure_devices() {
  return {measure_queueing(), measure_analytic()};
}

StartUp measure_start_up() {
  constexpr std::int64_t kRequests = 100;
  return {kRequests,
          run_self({"device", "curve", "ufs40", "--type", "queueing", "--size", "4KiB", "--depth", "32",
                    "--requests", std::to_string(kRequests), "--json"}),
          0.1, 50'000'000};
}

}  // namespace kvr::bench

#include "sim/cli/bench_policy.hpp"

#include <chrono>
#include <vector>

#include "sim/cli/bench_folder.hpp"
#include "sim/cli/bench_replay.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "sim/error.hpp"
#include "traces/reader.hpp"
#include "traces/synth.hpp"

namespace kvr::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kKernelShareLimit = 0.05;
constexpr double kSpeedLeast = 15.0;

/// One layer of Qwen2.5-1.5B: the timed model repeats it.
trace::SynthOptions trace_options() {
  trace::SynthOptions options;
  options.layers = 1;
  options.kv_heads = 2;
  options.group = 6;
  options.head_dim = 128;
  options.prompt = 16'384;
  options.steps = 256;
  options.clusters = 256;
  return options;
}

/// Wall-clock time of every step but the first, which follows the prompt's clustering.
class StepClock {
 public:
  void tick() {
    const auto now = std::chrono::steady_clock::now();
    if (started_) {
      seconds_.push_back(std::chrono::duration<double>(now - last_).count());
    }
    started_ = true;
    last_ = now;
  }
  const std::vector<double>& seconds() const { return seconds_; }

 private:
  std::vector<double> seconds_;
  std::chrono::steady_clock::time_point last_;
  bool started_ = false;
};

/// Of every step but the first.
std::vector<double> steps_of(const PointData& data, Metric metric) {
  const std::span<const double> values = data.values(metric);
  KVR_CHECK(values.size() > 1, "{} steps", values.size());
  return {values.begin() + 1, values.end()};
}

std::vector<double> difference(std::vector<double> from, const std::vector<double>& less) {
  KVR_CHECK(from.size() == less.size(), "{} and {} steps", from.size(), less.size());
  for (std::size_t i = 0; i < from.size(); ++i) {
    from[i] -= less[i];
  }
  return from;
}

PolicyCost describe(const RunConfig& config, const trace::Header& header) {
  PolicyCost cost;
  cost.name = config.name;
  cost.what = config.system.name;
  cost.prompt = header.prefill_len;
  cost.captured_layers = static_cast<std::int64_t>(header.captured_layers.size());
  cost.model_layers = std::get<std::int64_t>(config.model.values.at("layers"));
  cost.heads = cost.model_layers * header.kv_heads_captured();
  cost.kernel_share_limit = kKernelShareLimit;
  cost.speed_least = kSpeedLeast;
  return cost;
}

}  // namespace

PolicyCost measure_policy_cost(const fs::path& source) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "policy.h5";
  trace::synthesise(trace_options(), path);
  const std::vector<std::string> sets = {fmt::format("trace.path={}", path.string())};
  const std::vector<RunConfig> points = load_config(source / kConfigFolder / "dynakv_16k.yaml", sets);
  KVR_CHECK(points.size() == 1, "dynakv_16k.yaml has {} points", points.size());
  const trace::Reader reader(path);
  PolicyCost cost = describe(points.front(), reader.header());
  StepClock clock;
  const PointResult result = replay(
      points.front(), reader, [&clock](std::int64_t, std::int64_t) { clock.tick(); }, nullptr);
  const std::vector<double> truth = steps_of(result.data, Metric::truth_kernel_s);
  cost.latency = summarise(steps_of(result.data, Metric::latency_s));
  cost.score = summarise(steps_of(result.data, Metric::score_kernel_s));
  cost.update = summarise(steps_of(result.data, Metric::update_kernel_s));
  cost.truth = summarise(truth);
  cost.replay = summarise(clock.seconds());
  cost.replay_without_truth = summarise(difference(clock.seconds(), truth));
  return cost;
}

}  // namespace kvr::bench

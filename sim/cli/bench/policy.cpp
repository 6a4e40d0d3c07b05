#include "sim/cli/bench/policy.hpp"

#include <array>
#include <chrono>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/files/temporary_folder.hpp"
#include "sim/cli/bench/replay.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/replay.hpp"
#include "traces/reader.hpp"
#include "traces/synth/synth.hpp"

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

/// Wall-clock times of the steps of two points that are replayed in turns, without each one's first step,
/// which follows the prompt's clustering.
class StepClock {
 public:
  void tick() {
    const auto now = std::chrono::steady_clock::now();
    if (ticks_ >= kPoints) {
      seconds_[ticks_ % kPoints].push_back(std::chrono::duration<double>(now - last_).count());
    }
    ++ticks_;
    last_ = now;
  }
  const std::vector<double>& seconds(std::size_t point) const { return seconds_[point]; }

 private:
  static constexpr std::size_t kPoints = 2;
  std::array<std::vector<double>, kPoints> seconds_;
  std::chrono::steady_clock::time_point last_;
  std::size_t ticks_ = 0;
};

/// Of every step but the first.
std::vector<double> steps_of(const PointData& data, Metric metric) {
  const std::span<const double> values = data.values(metric);
  KVR_CHECK(values.size() > 1, "{} steps", values.size());
  return {values.begin() + 1, values.end()};
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
  TemporaryFolder folder;
  const fs::path path = folder.file("policy.h5");
  trace::synthesise(trace_options(), path);
  const std::vector<std::string> sets = {fmt::format("trace.path={}", path.string())};
  const std::vector<RunConfig> points = load_config(source / kConfigFolder / "adaptive_16k.yaml", sets);
  KVR_CHECK(points.size() == 1, "adaptive_16k.yaml has {} points", points.size());
  const trace::Reader reader(path);
  PolicyCost cost = describe(points.front(), reader.header());
  const std::array<RunConfig, 2> twice = {points.front(), points.front()};
  const std::array<const trace::Reader*, 1> traces = {&reader};
  StepClock clock;
  const std::vector<PointResult> results = replay_together(
      twice, traces, [&clock](std::int64_t, std::int64_t) { clock.tick(); }, nullptr);
  const PointData& first = results.front().data;
  const PointData& second = results.back().data;
  cost.latency = summarise(steps_of(second, Metric::latency_s));
  cost.score = summarise(steps_of(second, Metric::score_kernel_s));
  cost.update = summarise(steps_of(second, Metric::update_kernel_s));
  cost.truth = summarise(steps_of(first, Metric::truth_kernel_s));
  cost.replay = summarise(clock.seconds(0));
  cost.replay_with_known_truth = summarise(clock.seconds(1));
  return cost;
}

}  // namespace kvr::bench

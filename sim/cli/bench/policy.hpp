#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "sim/cli/bench/measure.hpp"

namespace kvr::bench {

/// What a policy costs per decode step on this host, and how fast it is replayed, against the latency of the
/// phone that is simulated. All times are wall-clock times of one step.
struct PolicyCost {
  std::string name;
  std::string what;
  std::int64_t prompt = 0;  ///< tokens
  std::int64_t captured_layers = 0;
  std::int64_t model_layers = 0;
  std::int64_t heads = 0;  ///< KV heads of the model, over all layers

  Timing latency;  ///< simulated, of the whole model
  Timing score;    ///< scoring and selecting, of the captured heads
  Timing update;   ///< updating clusters and summaries, of the captured heads
  Timing truth;    ///< the attention over everything that the selection is held against
  Timing replay;   ///< all of a step, `truth` included
  /// All of a step of a second point beside the first, which finds the truth computed.
  Timing replay_with_known_truth;

  double kernel_share_limit = 0.0;  ///< of the latency
  double speed_least = 0.0;         ///< replayed over simulated

  /// What a sum over the captured heads comes to in the model: every layer runs the policy.
  double scale() const { return static_cast<double>(model_layers) / static_cast<double>(captured_layers); }
  double score_s() const { return scale() * score.median_s; }
  double update_s() const { return scale() * update.median_s; }
  double share(double seconds) const { return seconds / latency.median_s; }
  /// Of what was replayed: policies of the captured layers, flash and processor of the whole model.
  double speed() const { return latency.median_s / replay_with_known_truth.median_s; }
  double speed_with_truth() const { return latency.median_s / replay.median_s; }
  /// Were all layers captured. At least: the simulated flash, of the whole model already, is scaled as well.
  double speed_of_all_layers() const { return speed() / scale(); }

  bool meets_kernel_share(double seconds) const { return share(seconds) < kernel_share_limit; }
  bool meets_speed(double speed) const { return speed >= speed_least; }
};

/// Adaptive clustering over a synthetic trace of 16,384 prompt tokens with the heads of Qwen2.5-1.5B, made in
/// a temporary folder and removed afterwards. Replayed in this process, because steps are timed one by one,
/// and twice side by side, as two points of a sweep are: the second is what a policy costs where no exact
/// attention runs beside it, as on a phone. Clustering the prompt is not timed.
PolicyCost measure_policy_cost(const std::filesystem::path& source);

}  // namespace kvr::bench

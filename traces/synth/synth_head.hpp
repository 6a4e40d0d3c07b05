#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/rng.hpp"
#include "traces/synth/synth.hpp"

namespace kvr::trace {

/// The label of a sink, and of a query before the first topic.
constexpr std::int32_t kNoTopic = -1;

/// One KV head of a synthetic trace and its query heads, advancing token by token.
class SynthHead {
 public:
  SynthHead(const SynthOptions& options, std::int64_t layer, std::int64_t head);

  /// The key and value of token `t`, [head_dim] each; returns the label.
  std::int32_t next_entry(std::int64_t t, std::span<float> key, std::span<float> value);

  /// The queries of token `t`, after its entry: [group, head_dim] each; returns the topic they point to, or
  /// kNoTopic if there is none yet.
  std::int32_t next_queries(std::int64_t t, std::span<float> queries, std::span<float> speculated);

 private:
  void place_centres(Rng rng);
  /// Makes `centre` orthogonal to the sink and of the common norm.
  void settle(std::span<float> centre) const;
  /// Lets the centre of `topic` take the steps up to token `t`.
  void walk(std::int32_t topic, std::int64_t t);
  bool starts_run(Rng& rng) const;
  void remember_topic();
  std::int32_t choose_aim();
  void point(std::span<float> query);

  SynthOptions options_;
  float norm_;
  Rng topic_rng_{0}, key_rng_{0}, value_rng_{0}, drift_rng_{0}, aim_rng_{0}, query_rng_{0},
      speculation_rng_{0};
  std::vector<float> sink_;
  std::vector<std::vector<float>> centres_;
  std::vector<std::vector<float>> value_centres_;
  /// Token up to which a centre has walked.
  std::vector<std::int64_t> last_used_;
  std::int32_t topic_ = kNoTopic;
  std::int32_t aim_ = kNoTopic;
  /// Topics of the last recent_tokens tokens, a ring; topics with members, in order of appearance.
  std::vector<std::int32_t> recent_;
  std::size_t oldest_ = 0;
  std::vector<bool> is_seen_;
  std::vector<std::int32_t> seen_;
};

}  // namespace kvr::trace

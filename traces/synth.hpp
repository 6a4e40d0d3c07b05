#pragma once

#include <cstdint>
#include <filesystem>

namespace kvr::trace {

/// What a synthetic trace looks like; the generative model is at the top of traces/synth.cpp.
struct SynthOptions {
  std::int64_t layers = 1;
  std::int64_t kv_heads = 2;
  /// Query heads per KV head.
  std::int64_t group = 2;
  /// Channels per head; even.
  std::int64_t head_dim = 64;
  /// Prompt tokens, and decode steps after them.
  std::int64_t prompt = 1024;
  std::int64_t steps = 128;
  /// Queries kept of the end of the prompt.
  std::int64_t prompt_window = 32;
  /// Topics of each KV head; keys of one topic form a cluster.
  std::int64_t clusters = 16;
  /// Random-walk step of a cluster's centre per token, as a share of the centre's norm.
  double drift_per_step = 0.005;
  /// Distance of a key from its centre, as a share of the centre's norm (root mean square).
  double spread = 0.5;
  /// The same for values.
  double value_spread = 0.5;
  /// The same for a query's direction around its topic's centre.
  double query_spread = 0.3;
  /// Logit (nats) of a key at the centre of the query's topic; keys of other topics are near 0.
  double sharpness_nats = 10.0;
  /// First tokens that every query likes, and their logit (nats).
  std::int64_t sinks = 4;
  double sink_nats = 10.0;
  /// Mean run of tokens (and of queries) on one topic.
  double run_tokens = 16.0;
  /// Share of the queries' topics drawn from the last recent_tokens tokens; the rest is drawn from all
  /// topics.
  double locality = 0.8;
  std::int64_t recent_tokens = 256;
  /// Error of speculated queries (written for layers > 0), as a share of the query's norm.
  double speculation_error = 0.1;
  std::int64_t seed = 0;
};

/// Writes a labelled synthetic trace. Same options, same bytes; memory does not grow with the length.
/// InputError with every bad option.
void synthesise(const SynthOptions& options, const std::filesystem::path& out);

}  // namespace kvr::trace

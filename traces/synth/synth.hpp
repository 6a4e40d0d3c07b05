#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace kvr::trace {

/// What a synthetic trace looks like: synth_counts() and synth_reals() say what each option means, the top of
/// traces/synth.cpp how the trace follows from them.
struct SynthOptions {
  std::int64_t layers = 1;
  std::int64_t first_layer = 0;
  std::int64_t kv_heads = 2;
  std::int64_t group = 2;
  std::int64_t head_dim = 64;
  std::int64_t prompt = 1024;
  std::int64_t steps = 128;
  std::int64_t prompt_window = 32;
  std::int64_t clusters = 16;
  std::int64_t sinks = 4;
  std::int64_t recent_tokens = 256;
  std::int64_t seed = 0;
  double drift_per_step = 0.005;
  double spread = 0.5;
  double value_spread = 0.5;
  double query_spread = 0.3;
  double sharpness_nats = 10.0;
  double sink_nats = 10.0;
  double run_tokens = 16.0;
  double locality = 0.8;
  double speculation_error = 0.1;
  double punctuation = 0.0;
};

/// One option as a program offers it: its name, its bounds and, in `help`, its unit and meaning.
template <class Value>
struct SynthOption {
  const char* name;
  Value SynthOptions::*member;
  Value minimum;
  Value maximum;
  const char* help;
};

/// Every option, in the order of SynthOptions: the counts and the real numbers.
std::span<const SynthOption<std::int64_t>> synth_counts();
std::span<const SynthOption<double>> synth_reals();

/// Writes a labelled synthetic trace. Same options, same bytes; memory does not grow with the length.
/// InputError with every bad option.
void synthesise(const SynthOptions& options, const std::filesystem::path& out);

}  // namespace kvr::trace

#include <array>
#include <limits>

#include "traces/synth/synth.hpp"

namespace kvr::trace {
namespace {

using Options = SynthOptions;

constexpr std::int64_t kMaxCount = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMinSeed = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMaxSeed = std::numeric_limits<std::int64_t>::max();
/// Keeps the queries well inside the range of float16.
constexpr double kMaxNats = 1000.0;

constexpr std::array kCounts = {
    SynthOption<std::int64_t>{"layers", &Options::layers, 1, 4096, "layers that are captured"},
    SynthOption<std::int64_t>{"first-layer", &Options::first_layer, 0, 4096,
                              "number of the first of them in the model"},
    SynthOption<std::int64_t>{"kv-heads", &Options::kv_heads, 1, 4096, "KV heads per layer"},
    SynthOption<std::int64_t>{"group", &Options::group, 1, 4096, "query heads per KV head"},
    SynthOption<std::int64_t>{"head-dim", &Options::head_dim, 2, 4096, "channels per head, an even number"},
    SynthOption<std::int64_t>{"prompt", &Options::prompt, 1, kMaxCount, "prompt length in tokens"},
    SynthOption<std::int64_t>{"steps", &Options::steps, 0, kMaxCount, "decode steps, one token each"},
    SynthOption<std::int64_t>{"prompt-window", &Options::prompt_window, 0, kMaxCount,
                              "tokens at the end of the prompt whose queries are kept, at most the prompt"},
    SynthOption<std::int64_t>{"clusters", &Options::clusters, 1, 1 << 20,
                              "topics per KV head; the keys of a topic form a cluster"},
    SynthOption<std::int64_t>{"sinks", &Options::sinks, 0, kMaxCount,
                              "first tokens, whose keys every query likes, at most the prompt"},
    SynthOption<std::int64_t>{"recent-tokens", &Options::recent_tokens, 1, 1 << 20,
                              "tokens that count as recent for --locality"},
    SynthOption<std::int64_t>{"seed", &Options::seed, kMinSeed, kMaxSeed, "root of all randomness"},
};

constexpr std::array kReals = {
    SynthOption<double>{"drift-per-step", &Options::drift_per_step, 0.0, 1.0,
                        "random-walk step of a centre per token, as a share of the centre's norm"},
    SynthOption<double>{
        "spread", &Options::spread, 0.0, 100.0,
        "root mean square distance of a key from its centre, as a share of the centre's norm"},
    SynthOption<double>{"value-spread", &Options::value_spread, 0.0, 100.0, "the same for values"},
    SynthOption<double>{"query-spread", &Options::query_spread, 0.0, 100.0,
                        "the same for a query's direction around its topic's centre"},
    SynthOption<double>{"sharpness-nats", &Options::sharpness_nats, 0.0, kMaxNats,
                        "logit in nats of a key where the query points; keys of other topics are near 0"},
    SynthOption<double>{"sink-nats", &Options::sink_nats, 0.0, kMaxNats, "logit in nats of a sink's key"},
    SynthOption<double>{"run-tokens", &Options::run_tokens, 1.0, 1e9,
                        "mean run of tokens, and of queries, on one topic"},
    SynthOption<double>{"locality", &Options::locality, 0.0, 1.0,
                        "share of query runs on the topic of a recent token; the rest go to any topic seen"},
    SynthOption<double>{
        "speculation-error", &Options::speculation_error, 0.0, 100.0,
        "distance of a speculated query from the true one (layers above 0), as a share of its norm"},
    SynthOption<double>{
        "punctuation", &Options::punctuation, 0.0, 1.0,
        "share of tokens that are punctuation, sinks being special; 0: tokens have no classes"},
};

}  // namespace

std::span<const SynthOption<std::int64_t>> synth_counts() {
  return kCounts;
}

std::span<const SynthOption<double>> synth_reals() {
  return kReals;
}

}  // namespace kvr::trace

// A labelled synthetic trace. Independently for every layer and KV head, with d = head_dim, noise() a vector
// of d standard normals and all centres of norm sqrt(d):
//
//   sink, centre[k], value_centre[k] (k < clusters): random directions; centre[k] is orthogonal to sink
//   for each token t:
//     if t < sinks:  key = sink + spread noise(), value = 0.1 noise(), label -1
//     else:
//       at the first token, and then with probability 1 / run_tokens: topic = any of the clusters
//       walk(topic, t)
//       key = centre[topic] + spread noise(), value = value_centre[topic] + value_spread noise(), label topic
//     if t has a query:
//       at the first query, and then with probability 1 / run_tokens:
//         aim = with probability locality the topic of one of the last recent_tokens tokens, else any topic
//         seen
//       walk(aim, t)
//       for each query head of the group:
//         query = sharpness_nats unit(centre[aim] + query_spread noise()) + sink_nats unit(sink)
//         speculated query = query + speculation_error norm(query) noise() / sqrt(d)
//   walk(k, t): centre[k] takes all the steps since it was last used at once, which has the same
//   distribution:
//     centre[k] += drift_per_step sqrt(t - last used) noise(), made orthogonal to sink, brought back to its
//     norm
//
// The attention scale being 1/sqrt(d), a key at the centre that the query points to has the logit
// sharpness_nats, a sink sink_nats and any other key about 0. Keys are meant as they are after RoPE; nothing
// is rotated.
#include "traces/synth/synth.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/base/rng.hpp"
#include "traces/synth/synth_head.hpp"
#include "traces/writer.hpp"

namespace kvr::trace {
namespace {

/// Tokens generated between two appends to the file.
constexpr std::int64_t kBlockTokens = 256;
constexpr std::int64_t kVocabSize = 32000;

using Vector = std::vector<float>;

template <class Value>
void check_bounds(const SynthOptions& options, std::span<const SynthOption<Value>> table,
                  std::vector<std::string>& problems) {
  for (const SynthOption<Value>& option : table) {
    const Value value = options.*option.member;
    if (!(value >= option.minimum && value <= option.maximum)) {
      problems.push_back(
          fmt::format("{}: {}; expected {} to {}", option.name, value, option.minimum, option.maximum));
    }
  }
}

void check(const SynthOptions& options) {
  std::vector<std::string> problems;
  check_bounds(options, synth_counts(), problems);
  check_bounds(options, synth_reals(), problems);
  if (options.head_dim % 2 != 0) {
    problems.push_back(fmt::format("head-dim: {}; expected an even number", options.head_dim));
  }
  if (options.prompt_window > options.prompt) {
    problems.push_back(
        fmt::format("prompt-window: {} contradicts prompt {}; expected at most that many tokens",
                    options.prompt_window, options.prompt));
  }
  if (options.sinks > options.prompt) {
    problems.push_back(fmt::format("sinks: {} contradicts prompt {}; expected at most that many tokens",
                                   options.sinks, options.prompt));
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

std::vector<std::int64_t> count_from(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t i = begin; i < end; ++i) {
    numbers.push_back(i);
  }
  return numbers;
}

Geometry geometry_of(const SynthOptions& options) {
  const std::int64_t query_heads = options.kv_heads * options.group;
  const std::int64_t hidden_size = query_heads * options.head_dim;
  return {.layers = options.first_layer + options.layers,
          .query_heads = query_heads,
          .kv_heads = options.kv_heads,
          .head_dim = options.head_dim,
          .hidden_size = hidden_size,
          .ffn_size = 4 * hidden_size,
          .vocab_size = kVocabSize,
          .rope_theta = 10000.0,
          .attention_scale = 1.0 / std::sqrt(static_cast<double>(options.head_dim)),
          .rope_scaling = "none",
          .rope_layout = "half"};
}

Header header_of(const SynthOptions& options) {
  return {.geometry = geometry_of(options),
          .model_name = "synthetic",
          .prefill_len = options.prompt,
          .seq_len = options.prompt + options.steps,
          .captured_layers = count_from(options.first_layer, options.first_layer + options.layers),
          .captured_kv_heads = count_from(0, options.kv_heads),
          .capture_tool = "kvreplay trace synth",
          .capture_version = "1",
          .capture_mode = "synthetic",
          .weights_sha256 = "none",
          .text_source = "none: random numbers with planted clusters",
          .licence = "CC0-1.0",
          .seed = options.seed};
}

/// The rows of one layer between two appends; time outermost.
struct Block {
  Vector keys, values, queries, speculated;
  std::vector<std::int32_t> labels, aims;

  void resize(std::size_t entries, std::size_t query_rows) {
    keys.assign(entries, 0.0F);
    values.assign(entries, 0.0F);
    queries.assign(query_rows, 0.0F);
    speculated.assign(query_rows, 0.0F);
    labels.clear();
    aims.clear();
  }
};

class LayerGenerator {
 public:
  LayerGenerator(const SynthOptions& options, std::int64_t layer, Writer& writer)
      : options_(options), layer_(layer), writer_(writer) {
    for (std::int64_t head = 0; head < options.kv_heads; ++head) {
      heads_.emplace_back(options, layer, head);
    }
    const std::int64_t tokens = options.prompt + options.steps;
    writer_.declare_truth(truth("cluster"), options.kv_heads, tokens,
                          "cluster that each token's key was drawn from, -1 for sinks");
    writer_.declare_truth(truth("topic"), options.kv_heads, options.prompt_window + options.steps,
                          "cluster that each query points to, -1 for none");
  }

  /// Tokens [begin, end).
  void generate(std::int64_t begin, std::int64_t end) {
    const auto d = static_cast<std::size_t>(options_.head_dim);
    const std::size_t group_width = d * static_cast<std::size_t>(options_.group);
    const std::int64_t first_query = options_.prompt - options_.prompt_window;
    const auto query_tokens =
        static_cast<std::size_t>(std::max<std::int64_t>(0, end - std::max(begin, first_query)));
    block_.resize(static_cast<std::size_t>(end - begin) * heads_.size() * d,
                  query_tokens * heads_.size() * group_width);
    std::size_t entry = 0;
    std::size_t query = 0;
    for (std::int64_t t = begin; t < end; ++t) {
      for (SynthHead& head : heads_) {
        block_.labels.push_back(head.next_entry(t, std::span(block_.keys).subspan(entry, d),
                                                std::span(block_.values).subspan(entry, d)));
        entry += d;
        if (t >= first_query) {
          block_.aims.push_back(head.next_queries(t, std::span(block_.queries).subspan(query, group_width),
                                                  std::span(block_.speculated).subspan(query, group_width)));
          query += group_width;
        }
      }
    }
    append();
  }

 private:
  std::string truth(const char* name) const { return fmt::format("layers/{}/{}", layer_, name); }

  void append() {
    append(Field::keys, block_.keys);
    append(Field::values, block_.values);
    append(Field::queries, block_.queries);
    if (layer_ > 0) {
      append(Field::speculated_queries, block_.speculated);
    }
    writer_.append_truth(truth("cluster"), block_.labels);
    writer_.append_truth(truth("topic"), block_.aims);
  }

  void append(Field field, const Vector& rows) {
    half_.resize(rows.size());
    to_half(rows, half_);
    writer_.append(field, layer_ - options_.first_layer, half_);
  }

  SynthOptions options_;
  std::int64_t layer_;
  Writer& writer_;
  std::vector<SynthHead> heads_;
  Block block_;
  std::vector<Half> half_;
};

void write_tokens(const Header& header, Writer& writer) {
  Rng rng = Rng::stream(static_cast<std::uint64_t>(header.seed), "synth/tokens");
  for (std::int64_t t = 0; t < header.seq_len; ++t) {
    const auto token = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(kVocabSize)));
    writer.append_tokens(std::span(&token, 1));
  }
}

/// Sinks are special; of the others so large a share is punctuation, at random.
void write_token_classes(const SynthOptions& options, std::int64_t tokens, Writer& writer) {
  constexpr std::uint8_t kOther = 0;
  constexpr std::uint8_t kSpecial = 1;
  constexpr std::uint8_t kPunctuation = 2;
  Rng rng = Rng::stream(static_cast<std::uint64_t>(options.seed), "synth/token_class");
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool is_mark = rng.uniform() < options.punctuation;
    const std::uint8_t one = t < options.sinks ? kSpecial : is_mark ? kPunctuation : kOther;
    writer.append_token_classes(std::span(&one, 1));
  }
}

}  // namespace

void synthesise(const SynthOptions& options, const std::filesystem::path& out) {
  check(options);
  const Header header = header_of(options);
  Writer writer(out, header, count_from(options.prompt - options.prompt_window, header.seq_len));
  write_tokens(header, writer);
  if (options.punctuation > 0.0) {
    write_token_classes(options, header.seq_len, writer);
  }
  for (const std::int64_t layer : header.captured_layers) {
    LayerGenerator generator(options, layer, writer);
    for (std::int64_t begin = 0; begin < header.seq_len; begin += kBlockTokens) {
      generator.generate(begin, std::min(begin + kBlockTokens, header.seq_len));
    }
  }
  writer.finish();
}

}  // namespace kvr::trace

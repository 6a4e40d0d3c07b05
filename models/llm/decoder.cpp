// A dense decoder-only transformer with grouped-query attention and a gated feed-forward network, one token
// at a time, so that every product is a matrix times a vector:
//
//   product of n inputs and m outputs:  flops = 2 n m,  bytes = n m * bytes of a weight + 2 (n + m)
//
//   query          hidden -> query_heads * head_dim
//   key and value  hidden -> 2 * kv_heads * head_dim
//   output         query_heads * head_dim -> hidden
//   feed-forward   hidden -> ffn twice (gate, up), ffn -> hidden (down)
//   output head    hidden -> vocab, in a format of its own
//
// Vectors are fp16, two bytes a channel.
//
// Norms, rotary embedding, biases, residuals and the embedding row are left out: together below 0.1 % of the
// flops and bytes of the models under configs/models.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/language_model.hpp"

namespace kvr {
namespace {

constexpr double kActivationBytes = 2.0;

struct DecoderParams {
  std::string name = "trace";
  std::int64_t layers = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;
  std::string weight_format = "f16";
  std::string head_format = "f16";
};

/// Beyond every published model, so that weights and entries are counted within 64 bits.
constexpr double kMostLayers = 65'536;
constexpr double kMostHeads = 65'536;
constexpr double kMostHeadChannels = 16'384;
constexpr double kMostChannels = 1 << 24;
constexpr double kMostTokens = 1 << 28;

constexpr ParamDoc count(std::string_view doc, double most) {
  return {.doc = doc, .min = 0, .max = most, .source = "configuration file of the model; 0: the trace's"};
}

ParamTable<DecoderParams> decoder_table() {
  using P = DecoderParams;
  return {
      {"name", &P::name, {.doc = "what results call the model"}},
      {"layers", &P::layers, count("transformer layers; 0: the trace's", kMostLayers)},
      {"query_heads", &P::query_heads, count("query heads of a layer; 0: the trace's", kMostHeads)},
      {"kv_heads", &P::kv_heads, count("KV heads of a layer; 0: the trace's", kMostHeads)},
      {"head_dim", &P::head_dim, count("channels of a head; 0: the trace's", kMostHeadChannels)},
      {"hidden", &P::hidden, count("channels of the residual stream; 0: the trace's", kMostChannels)},
      {"ffn", &P::ffn, count("inner width of the feed-forward network; 0: the trace's", kMostChannels)},
      {"vocab", &P::vocab, count("tokens the output head scores; 0: the trace's", kMostTokens)},
      {"weight_format",
       &P::weight_format,
       {.doc = "how the weights are stored, but the output head's",
        .choices = kWeightFormatChoices,
        .source = "choice of the experiment; blocks as llama.cpp's"}},
      {"head_format",
       &P::head_format,
       {.doc = "how the weights of the output head are stored",
        .choices = kWeightFormatChoices,
        .source = "choice of the experiment; a head tied to the embedding often stays F16"}},
  };
}

/// The trace's geometry, with what the configuration gives laid over it.
DecoderGeometry resolve(const DecoderParams& given, const DecoderGeometry& trace) {
  const auto pick = [](std::int64_t value, std::int64_t otherwise) { return value > 0 ? value : otherwise; };
  return {pick(given.layers, trace.layers),     pick(given.query_heads, trace.query_heads),
          pick(given.kv_heads, trace.kv_heads), pick(given.head_dim, trace.head_dim),
          pick(given.hidden, trace.hidden),     pick(given.ffn, trace.ffn),
          pick(given.vocab, trace.vocab)};
}

bool same(const DecoderGeometry& a, const DecoderGeometry& b) {
  return a.layers == b.layers && a.query_heads == b.query_heads && a.kv_heads == b.kv_heads &&
         a.head_dim == b.head_dim && a.hidden == b.hidden && a.ffn == b.ffn && a.vocab == b.vocab;
}

void require_consistent(const DecoderGeometry& g) {
  std::vector<std::string> problems;
  const std::pair<std::string_view, std::int64_t> counts[] = {
      {"layers", g.layers},     {"query_heads", g.query_heads}, {"kv_heads", g.kv_heads},
      {"head_dim", g.head_dim}, {"hidden", g.hidden},           {"ffn", g.ffn},
      {"vocab", g.vocab}};
  for (const auto& [what, value] : counts) {
    if (value <= 0) {
      problems.push_back(
          fmt::format("{}: is given neither here nor by the trace ({}); allowed: at least 1", what, value));
    }
  }
  if (g.kv_heads > 0 && g.query_heads % g.kv_heads != 0) {
    problems.push_back(fmt::format("query_heads: is no multiple of kv_heads ({}); allowed: multiples of {}",
                                   g.query_heads, g.kv_heads));
  }
  if (!problems.empty()) {
    throw InputError(std::move(problems));
  }
}

/// `name` is one of kWeightFormatChoices.
WeightFormat format_of(std::string_view name) {
  const auto found = std::ranges::find(kWeightFormats, name, &WeightFormatInfo::name);
  KVR_CHECK(found != kWeightFormats.end(), "no weight format '{}'", name);
  return found->format;
}

class Decoder final : public LanguageModel {
 public:
  static constexpr std::string_view kName = "decoder";
  static constexpr std::string_view kDoc =
      "Dense decoder with grouped-query attention; whatever is 0 is taken from the trace.";
  static constexpr std::string_view kSource = "counted from the architecture of Llama, Qwen2.5 and Mistral";

  using Params = DecoderParams;
  static ParamTable<Params> params() { return decoder_table(); }

  Decoder(const Params& params, const Context& context)
      : geometry_(resolve(params, context.trace)),
        sequences_(static_cast<double>(context.sequences)),
        borrowed_(!same(geometry_, context.trace)),
        weight_format_(format_of(params.weight_format)),
        head_format_(format_of(params.head_format)) {
    require_consistent(geometry_);
  }

  const DecoderGeometry& geometry() const override { return geometry_; }
  bool borrowed() const override { return borrowed_; }

  WeightFormat weight_format() const override { return weight_format_; }
  WeightFormat head_format() const override { return head_format_; }

  Work query_projection() const override {
    return product(geometry_.hidden, geometry_.query_heads * geometry_.head_dim);
  }
  Work key_value_projection() const override {
    return product(geometry_.hidden, 2 * geometry_.kv_heads * geometry_.head_dim);
  }
  Work output_projection() const override {
    return product(geometry_.query_heads * geometry_.head_dim, geometry_.hidden);
  }
  Work feed_forward() const override {
    return 2.0 * product(geometry_.hidden, geometry_.ffn) + product(geometry_.ffn, geometry_.hidden);
  }
  Work output_head() const override { return product(geometry_.hidden, geometry_.vocab, head_format_); }

  /// q.k and the weighted sum of values: 2 * head_dim flops each, for every entry and query head of the
  /// group. The group reads each entry once; queries and outputs stay in cache.
  Work attention(double entries, double entry_bytes) const override {
    const auto group = static_cast<double>(geometry_.group());
    return {4.0 * group * entries * static_cast<double>(geometry_.head_dim), entries * entry_bytes};
  }

 private:
  Work product(std::int64_t inputs, std::int64_t outputs) const {
    return product(inputs, outputs, weight_format_);
  }

  /// Of one vector a sequence with the same weights.
  Work product(std::int64_t inputs, std::int64_t outputs, WeightFormat format) const {
    const auto n = static_cast<double>(inputs);
    const auto m = static_cast<double>(outputs);
    return {sequences_ * 2.0 * n * m,
            n * m * info_of(format).bytes + sequences_ * kActivationBytes * (n + m)};
  }

  DecoderGeometry geometry_;
  double sequences_;
  bool borrowed_;
  WeightFormat weight_format_;
  WeightFormat head_format_;
};

const Registration<LanguageModel, Decoder> registered;

}  // namespace
}  // namespace kvr

#include "sim/engine/walk/extrapolation.hpp"

#include <fmt/format.h>

#include <iterator>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// Layers times KV heads that are timed: seven times those of the largest published model. Every one has
/// requests and a region of its own, so the number decides what a step takes.
constexpr std::int64_t kMostHeads = 65'536;

/// How captured heads stand for those of a layer.
std::string heads_text(const Extrapolation& e) {
  return e.remainder() == 0
             ? fmt::format("by {} heads of a layer", e.repetitions())
             : fmt::format(
                   "stands for {:.3g} heads of a layer ({} for {} captured ones: of the requests of a "
                   "captured "
                   "layer, {} of {} in turn are issued{})",
                   e.head_share(), e.kv_heads, e.captured_kv_heads, e.remainder(), e.captured_kv_heads,
                   e.repetitions() > 0 ? fmt::format(" beside {} times all", e.repetitions()) : "");
}

}  // namespace

Extrapolation extrapolate(const RunConfig& config, const DecoderGeometry& model,
                          const trace::Header& header) {
  Extrapolation result;
  result.layers = model.layers;
  result.captured_layers = static_cast<std::int64_t>(header.captured_layers.size());
  const std::int64_t sequences = config.copies * std::ssize(config.sequences);
  std::vector<std::string> problems;
  if (model.layers < result.captured_layers) {
    problems.push_back(fmt::format("{}: {} layers cannot replay the {} captured ones; give at least as many",
                                   config.place("model.layers"), model.layers, result.captured_layers));
  }
  if (model.layers * model.kv_heads > kMostHeads) {
    problems.push_back(fmt::format("{}: {} layers of {} KV heads are {} heads; allowed: at most {} together",
                                   config.place("model.layers"), model.layers, model.kv_heads,
                                   model.layers * model.kv_heads, kMostHeads));
  } else if (sequences * model.layers * model.kv_heads > kMostHeads) {
    problems.push_back(
        fmt::format("{}: {} sequences of {} layers of {} KV heads are {} heads; allowed: at most {} together",
                    config.place(config.copies > 1 ? "trace.sequences" : "workload.sequences"), sequences,
                    model.layers, model.kv_heads, sequences * model.layers * model.kv_heads, kMostHeads));
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
  result.sequences = sequences;
  result.walked_sequences = std::ssize(config.sequences);
  result.kv_heads = sequences * model.kv_heads;
  result.captured_kv_heads = result.walked_sequences * header.kv_heads_captured();
  result.dim_ratio = static_cast<double>(model.head_dim) / static_cast<double>(header.geometry.head_dim);
  result.group_ratio = static_cast<double>(model.group()) / static_cast<double>(header.geometry.group());
  return result;
}

Extrapolation as_one(const Extrapolation& heads) {
  Extrapolation one = heads;
  one.kv_heads = heads.sequences;
  one.captured_kv_heads = heads.walked_sequences;
  one.dim_ratio = heads.dim_ratio * heads.head_share() * static_cast<double>(heads.walked_sequences) /
                  static_cast<double>(heads.sequences);
  return one;
}

std::string extrapolation_text(const DecoderGeometry& model, const Extrapolation& of_all) {
  Extrapolation e = of_all;
  e.kv_heads = model.kv_heads;  // of one sequence
  e.captured_kv_heads = of_all.captured_kv_heads / of_all.walked_sequences;
  std::string text = fmt::format(
      "timing is for {} layers of {} KV heads ({} query heads, head_dim {}); "
      "each of the {} captured layers is replayed by up to {} model layers",
      model.layers, model.kv_heads, model.query_heads, model.head_dim, e.captured_layers,
      (e.layers + e.captured_layers - 1) / e.captured_layers);
  if (e.head_share() != 1.0) {
    text += fmt::format(" and each captured head {}", heads_text(e));
  }
  if (e.dim_ratio != 1.0 || e.group_ratio != 1.0) {
    text += fmt::format(
        "; work of the policies is scaled by the head dimension ({:.3g}) and, for scoring, by the group "
        "({:.3g})",
        e.dim_ratio, e.group_ratio);
  }
  return text;
}

}  // namespace kvr

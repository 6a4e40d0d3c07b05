#pragma once

#include <cstdint>
#include <string>

#include "sim/config/resolve.hpp"
#include "sim/interfaces/language_model.hpp"
#include "traces/header.hpp"

namespace kvr {

/// How the captured streams stand for the model that is timed. Where the model is the trace's own, every
/// factor is 1.
///
/// Model layer m replays captured layer m modulo the captured layers. Where a layer of the model has a
/// multiple of the captured KV heads, it repeats them; otherwise each captured head stands for a share of a
/// head beside its repetitions: of the requests that the captured layer makes, that share is issued, dealt
/// out in turn over steps. Work of policies is scaled with the head dimension (and, for scoring, with the
/// group).
struct Extrapolation {
  std::int64_t layers = 0;  ///< of the model
  std::int64_t captured_layers = 0;
  std::int64_t sequences = 1;          ///< that decode together
  std::int64_t walked_sequences = 1;   ///< of those, no copies of others
  std::int64_t kv_heads = 1;           ///< of a layer of the model, of all sequences
  std::int64_t captured_kv_heads = 1;  ///< of a layer, of all sequences that are walked
  double dim_ratio = 1.0;              ///< model head_dim over the trace's
  double group_ratio = 1.0;

  std::int64_t captured_layer(std::int64_t layer) const { return layer % captured_layers; }
  /// KV heads of a model layer, of all sequences, that one captured head stands for.
  double head_share() const { return static_cast<double>(kv_heads) / static_cast<double>(captured_kv_heads); }
  /// Times that a layer of the model repeats all captured heads.
  std::int64_t repetitions() const { return kv_heads / captured_kv_heads; }
  /// Model heads left over after the repetitions: `remainder` of `captured_kv_heads` requests are issued for
  /// them.
  std::int64_t remainder() const { return kv_heads % captured_kv_heads; }
  /// Model heads that one captured head of captured layer `layer` stands for, over all layers of the model.
  double heads_of(std::int64_t layer) const {
    const std::int64_t replays = layers / captured_layers + (layer < layers % captured_layers ? 1 : 0);
    return head_share() * static_cast<double>(replays);
  }
  /// Repetitions and, where heads are left over, one more of which a share is issued.
  std::int64_t copies() const { return repetitions() + (remainder() > 0 ? 1 : 0); }
  /// What a sum over all captured layers and heads comes to in the model.
  double model_share(double captured) const {
    return captured * static_cast<double>(layers) / static_cast<double>(captured_layers) * head_share();
  }
};

/// The same of all KV heads of a layer of a sequence as one, as wide as they are together.
Extrapolation as_one(const Extrapolation& heads);

/// Throws InputError when the model cannot be made from the captured streams.
Extrapolation extrapolate(const RunConfig& config, const DecoderGeometry& model, const trace::Header& header);

/// What is timed and, where heads or channels are not those captured, how they stand for it.
std::string extrapolation_text(const DecoderGeometry& model, const Extrapolation& e);

}  // namespace kvr

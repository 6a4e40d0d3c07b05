#include "sim/engine/heads/attention/head_codecs.hpp"

#include <fmt/format.h>

#include "sim/base/error.hpp"

namespace kvr {

RowsOrigin rows_origin(const trace::Header& header, std::int64_t layer, const StoreCodecs& codecs) {
  return {
      .layer_number = header.captured_layers[static_cast<std::size_t>(layer)],
      .model_name = header.model_name,
      .kv_heads = header.captured_kv_heads,
      .rotary = codecs.before_rotation() ? std::optional<Rotary>(header.geometry) : std::optional<Rotary>()};
}

void check_head_codec(const RunConfig& config, std::string_view key, const Codec& codec, RowsOf rows,
                      const trace::Header& header) {
  if (codec.before_rotation() && !can_turn(header.geometry)) {
    throw InputError(fmt::format(
        "{}: stores keys as they were before their rotary embedding, and keys of {} channels with "
        "rope_scaling {} cannot be turned back ({}); allowed: an even number of channels, all of them "
        "rotated, and scaling none, linear or llama3",
        config.place(key), header.geometry.head_dim, header.geometry.rope_scaling,
        config.sequences.front().trace_path.string()));
  }
  const std::int64_t heads = config.system.set_size(header.kv_heads_captured());
  const std::int64_t head_dim = header.geometry.head_dim;
  for (std::size_t layer = 0; layer < header.captured_layers.size(); ++layer) {
    try {
      codec.of_head({.width = rows == RowsOf::both ? 2 * heads * head_dim : head_dim,
                     .head = {.layer = static_cast<std::int64_t>(layer)},
                     .plane = 0,
                     .root_seed = static_cast<std::uint64_t>(config.seed),
                     .rows = rows,
                     .layer_number = header.captured_layers[layer],
                     .model_name = header.model_name,
                     .kv_heads = header.captured_kv_heads});
    } catch (const InputError& error) {
      throw config.placed(key, error);
    }
  }
}

}  // namespace kvr

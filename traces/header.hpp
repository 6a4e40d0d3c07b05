#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvr::trace {

/// The shape of the traced model, as its configuration gives it; all counts are positive.
struct Geometry {
  std::int64_t layers = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t hidden_size = 0;
  std::int64_t ffn_size = 0;
  std::int64_t vocab_size = 0;
  double rope_theta = 0.0;
  /// What q.k is multiplied by before the softmax, 1/sqrt(head_dim) in most models.
  double attention_scale = 0.0;
  /// "none" or JSON.
  std::string rope_scaling;
  /// "half" (channel i is rotated with i + head_dim/2) or "interleaved" (2i with 2i+1).
  std::string rope_layout;

  /// Query heads that share one KV head.
  std::int64_t group() const { return query_heads / kv_heads; }

  bool operator==(const Geometry&) const = default;
};

/// The root attributes of a kvtrace file, version 1 (traces/FORMAT.md).
struct Header {
  Geometry geometry;
  std::string model_name;
  /// Tokens of the prompt; positions prefill_len..seq_len-1 are the decode steps.
  std::int64_t prefill_len = 0;
  std::int64_t seq_len = 0;
  /// Model layer indices, increasing.
  std::vector<std::int64_t> captured_layers;
  /// KV head indices of the model, increasing.
  std::vector<std::int64_t> captured_kv_heads;
  std::string capture_tool;
  std::string capture_version;
  /// "teacher-forced", "greedy", "sampled" or "synthetic".
  std::string capture_mode;
  /// 64 lower-case hexadecimal digits, or "none".
  std::string weights_sha256;
  std::string text_source;
  std::string licence;
  std::int64_t seed = 0;

  std::int64_t kv_heads_captured() const { return static_cast<std::int64_t>(captured_kv_heads.size()); }
  /// Query head j of the trace belongs to captured KV head j / group().
  std::int64_t query_heads_captured() const { return kv_heads_captured() * geometry.group(); }

  bool operator==(const Header&) const = default;
};

/// The float16 datasets of a layer, each [heads, positions, head_dim].
enum class Field { keys, values, queries, speculated_queries };

/// The dataset's name, e.g. "keys".
const char* name_of(Field field);
/// The field called `name`; InputError with the choices if there is none.
Field field_of(const std::string& name);
/// Whether the field has one row per query position (and per query head) rather than one per token.
constexpr bool is_query(Field field) {
  return field == Field::queries || field == Field::speculated_queries;
}

}  // namespace kvr::trace

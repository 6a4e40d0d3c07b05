#pragma once

#include <cstdint>
#include <string_view>

#include "sim/interfaces/types.hpp"
#include "sim/interfaces/weight_format.hpp"

namespace kvr {

/// The shape of a decoder that timing is done for.
struct DecoderGeometry {
  std::int64_t layers = 0;
  std::int64_t query_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;

  std::int64_t group() const { return query_heads / kv_heads; }
};

/// What each operator of one decode step costs: one token of each sequence, for which weights are read once.
class LanguageModel {
 public:
  static constexpr std::string_view kKind = "model";
  /// Geometry of the trace, used where the configuration gives none.
  struct Context {
    DecoderGeometry trace;
    std::int64_t sequences = 1;  ///< that decode together
  };

  virtual ~LanguageModel() = default;

  virtual const DecoderGeometry& geometry() const = 0;
  /// True where geometry differs from the trace's: results are extrapolated.
  virtual bool borrowed() const = 0;
  virtual WeightFormat weight_format() const = 0;  ///< of all weights but the output head's
  virtual WeightFormat head_format() const = 0;
  virtual Work query_projection() const = 0;      ///< one layer
  virtual Work key_value_projection() const = 0;  ///< one layer
  virtual Work output_projection() const = 0;     ///< one layer
  virtual Work feed_forward() const = 0;          ///< one layer
  virtual Work output_head() const = 0;           ///< once per step
  /// One KV head of one layer of one sequence: its group attends to `entries` rows of `entry_bytes` each.
  virtual Work attention(double entries, double entry_bytes) const = 0;
};

}  // namespace kvr

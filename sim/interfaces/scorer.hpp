#pragma once

#include <cstdint>
#include <string_view>

#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What a policy needs of the trace beyond keys, values and queries; checked before the run starts.
struct TraceNeeds {
  bool speculated_queries = false;
  bool prompt_attention_sums = false;
};

/// Says what every unit of one head is worth to the current queries.
///
/// The engine calls `update` with every change of the head's Clustering (the prompt's `created` first) and
/// `score` once per step, before the new entry is appended; before the first step also once for every prompt
/// query that the trace keeps, where the layout wants co-retrieval. Folding over the query heads of a GQA
/// group, softmax before folding, ranking (ties to the lower unit), pins and budgets are the engine's.
class Scorer {
 public:
  static constexpr std::string_view kKind = "scorer";
  struct Context {
    std::int64_t head_dim;
    std::int64_t group;
    double attention_scale;  ///< what q.k is multiplied by before the softmax
    HeadId head;
    std::uint64_t root_seed;
  };

  virtual ~Scorer() = default;

  virtual TraceNeeds needs() const { return {}; }
  virtual void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
                      Work& work) = 0;
  /// `queries` [group, head_dim]; `scores` [group, unit_count], finite, higher is better. Scores are scaled
  /// logits (q.k times `attention_scale`), so that a softmax over them means something.
  virtual void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView& view,
                     const MatrixRef<float>& scores, Work& work) = 0;
  /// DRAM for the units' summaries ("representatives").
  virtual std::int64_t dram_bytes() const = 0;
};

}  // namespace kvr

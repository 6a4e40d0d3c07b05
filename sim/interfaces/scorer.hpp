#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/report.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What a token is to its tokenizer; numbered as traces have it.
enum class TokenClass : std::uint8_t { other, special, punctuation };

/// What a policy needs of the trace beyond keys, values and queries; checked before the run starts.
struct TraceNeeds {
  bool prompt_attention_sums = false;
  std::int64_t prompt_window = 0;  ///< queries of so many last positions of the prompt
  bool token_classes = false;      ///< PromptView::token_classes and `token`
};

/// What a Scorer may look at when the prompt ends. Fields that it did not ask for are empty.
struct PromptView {
  HeadView rows = {};  ///< all entries of the prompt
  /// Query heads of the group side by side, [window * group, head_dim], and the position of each of the
  /// window.
  MatrixView<float> window_queries = {};
  std::span<const std::int64_t> window_positions = {};
  /// What each entry got of the attention of all queries of the prompt, [group, entries].
  MatrixView<float> attention_sums = {};
  std::span<const TokenClass> token_classes = {};  ///< [entries]
};

/// Members of a unit that are not read, for which what the scorer keeps of the unit stands.
struct SketchedUnit {
  UnitId unit;
  std::int32_t entries;
};

/// The normaliser of the softmax over a part of what a query attends to: exp(logit - max_logit) summed.
struct PartialSoftmax {
  float max_logit = -std::numeric_limits<float>::infinity();
  double sum = 0.0;
};

/// Says what every unit of one head is worth to the current queries.
///
/// The engine calls `begin` once, then `update` with every change of the units that are ranked (the prompt's
/// `created` first) and `score` wherever the stage acts: a stage that selects before the new entry is
/// appended, one that evicts after it or at the end of the prompt; before the first step also once for every
/// prompt query that the trace keeps, where the layout wants co-retrieval. Removed entries are heard of by
/// `update` alone. Folding over the query heads of a GQA group, softmax before folding, ranking (ties to the
/// lower unit), pins and budgets are the engine's.
class Scorer {
 public:
  static constexpr std::string_view kKind = "scorer";
  struct Context {
    std::int64_t head_dim;   ///< of all heads that decide together, whose rows lie side by side
    std::int64_t group;      ///< query heads of all of them
    double attention_scale;  ///< what q.k is multiplied by before the softmax
    HeadId head;             ///< the first of them
    std::uint64_t root_seed;
    std::int64_t heads = 1;            ///< how many decide together
    bool estimates = false;            ///< `estimate` will be asked, so that what it needs must be kept
    std::int64_t layer_number = 0;     ///< of the model; `head.layer` counts what the trace captured
    std::string_view model_name = {};  ///< as the trace names it; for the constructor alone
    std::span<const std::int64_t> kv_heads = {};  ///< of the model, those captured; for the constructor alone

    /// Channels of a query that may be other than zero, those of its own head: what Work of a product counts.
    std::int64_t query_dim() const { return head_dim / heads; }
  };

  virtual ~Scorer() = default;

  virtual TraceNeeds needs() const { return {}; }
  /// Whether `score` looks at its queries; a stage that acts at the end of the prompt then asks with those of
  /// the prompt's last entry.
  virtual bool asks_queries() const { return true; }
  /// Whether it can `estimate`.
  virtual bool sketches() const { return false; }
  virtual void begin(const PromptView& /*prompt*/, Work& /*work*/) {}
  /// At the begin of every step, where `needs` asks for classes: of the token whose entry is the next.
  virtual void token(EntryIndex /*entry*/, TokenClass /*its_class*/) {}
  /// Whether `attended` shall be called.
  virtual bool wants_attention() const { return false; }
  /// In every step, before the new entry is appended, for each query head of the group: the softmax over all
  /// that it attended to, the new entry and what was estimated included. `weights` [entries.size()].
  virtual void attended(std::int64_t /*query*/, std::span<const EntryIndex> /*entries*/,
                        std::span<const float> /*weights*/, Work& /*work*/) {}
  virtual void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
                      Work& work) = 0;
  /// `view` has the keys where queries meet them, which moves while entries are removed if a system counts
  /// positions by slots; `update` sees them as they are stored.
  /// `queries` [group, head_dim], where several heads decide together each in its own head's columns and zero
  /// in the others'; `scores` [group, unit_count], finite where the unit has members (what is said of others
  /// counts for nothing), higher is better. Scores are scaled logits (q.k times `attention_scale`), so that a
  /// softmax over them means something.
  virtual void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView& view,
                     const MatrixRef<float>& scores, Work& work) = 0;
  /// After `score`, where units are not read but shall not be missed: what attention over `units` comes to if
  /// all their keys and values were as the scorer's summary of the unit has them. `queries` [rows, head_dim];
  /// for each of them its normaliser, `normalisers` [rows], and the mean of the values by its weights, `out`
  /// [rows, head_dim].
  virtual void estimate(const MatrixView<float>& /*queries*/, std::span<const SketchedUnit> /*units*/,
                        const MatrixRef<float>& /*out*/, std::span<PartialSoftmax> /*normalisers*/,
                        Work& /*work*/) {
    throw InternalError("the scorer keeps nothing to estimate by");
  }
  /// DRAM for the units' summaries ("representatives"), as a phone would store them: see Work. What `score`
  /// reads of `view` belongs to it, for a phone has nothing else there; live are the members and pending of
  /// all units. Of removed entries nothing counts; a unit's summary may stay when it is empty.
  virtual std::int64_t dram_bytes() const = 0;
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

}  // namespace kvr

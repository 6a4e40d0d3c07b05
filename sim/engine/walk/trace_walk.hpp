#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/walk/captured_head.hpp"
#include "sim/engine/walk/trace_demands.hpp"
#include "sim/engine/walk/trace_feed.hpp"
#include "sim/engine/walk/truth.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// Captured layers of a trace that follow one another.
struct LayerRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// The steps of a trace, one after another, for all replays that take them side by side: rows are read once
/// and what does not depend on a policy is computed once.
///
/// Heads are numbered layer * KV heads + head, where layers count from the first that is walked.
/// `enter_prompt` first, then `enter` for each position in turn.
class TraceWalk {
 public:
  /// All layers.
  TraceWalk(const trace::Reader& trace, const StepRange& steps);
  /// Some of them: memory grows with their number.
  TraceWalk(const trace::Reader& trace, const StepRange& steps, const LayerRange& layers);

  const trace::Reader& trace() const { return *trace_; }
  const StepRange& steps() const { return steps_; }
  std::int64_t layers() const { return layers_.count; }
  std::int64_t kv_heads() const { return kv_heads_; }
  std::int64_t head_count() const { return layers_.count * kv_heads_; }
  HeadId head_id(std::int64_t index) const { return {layers_.first + index / kv_heads_, index % kv_heads_}; }

  /// From now on the queries that the layer below speculates on come along in a layer, counted from
  /// the first that is walked.
  void want_speculated(std::int64_t layer) { speculates_[static_cast<std::size_t>(layer)] = 1; }

  /// That have come in so far.
  std::int64_t entries() const { return rows_.front().entries(); }

  void enter_prompt();
  /// The rows and queries of `position`, which follows the last one, for every head.
  void enter(std::int64_t position);

  const CapturedHead& rows(std::int64_t head) const { return rows_[static_cast<std::size_t>(head)]; }
  /// [group, head_dim], of the position entered last.
  std::span<const Half> queries(std::int64_t head) const { return queries_[static_cast<std::size_t>(head)]; }
  /// The same of the queries that the layer below speculates on; empty where nobody wants them.
  std::span<const Half> speculated(std::int64_t head) const {
    return speculated_[static_cast<std::size_t>(head)];
  }
  /// What the token of the position entered last is.
  TokenClass token_class() const { return feed_.token_class(entries() - 1); }
  /// Of the position entered last; not computed yet where no one has asked it to be.
  HeadTruth& truth(std::int64_t head) { return truths_[static_cast<std::size_t>(head)]; }
  TraceFeed& feed() { return feed_; }

 private:
  const trace::Reader* trace_;
  StepRange steps_;
  LayerRange layers_;
  std::int64_t kv_heads_;
  TraceFeed feed_;
  std::vector<CapturedHead> rows_;
  std::vector<std::vector<Half>> queries_;
  std::vector<std::uint8_t> speculates_;  ///< [layers]
  std::vector<std::vector<Half>> speculated_;
  std::vector<HeadTruth> truths_;
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/walk/trace_walk.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {

/// What a trace keeps of the prompt of one head, or of several side by side, beside its rows, as far as
/// scorers need it.
class PromptRecord {
 public:
  /// `heads` from `first_head` on, which count as in TraceWalk; the trace has what `needs` says.
  PromptRecord(TraceWalk& walk, std::int64_t first_head, std::int64_t heads, const TraceNeeds& needs);

  /// Without rows; valid as long as the record.
  PromptView view() const;

 private:
  void read_queries(TraceWalk& walk, HeadId head, std::int64_t in_set);
  void read_sums(const TraceWalk& walk, HeadId head, std::int64_t in_set);

  std::int64_t heads_;
  std::int64_t group_;     ///< of a head
  std::int64_t head_dim_;  ///< of a head
  std::int64_t entries_;
  std::vector<std::int64_t> positions_;
  std::vector<float> queries_;       ///< [positions, heads * group, heads * head_dim], see place_queries
  std::vector<float> sums_;          ///< [heads * group, entries], or empty
  std::vector<TokenClass> classes_;  ///< [entries], or empty
};

}  // namespace kvr

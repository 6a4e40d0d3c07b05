#pragma once

#include <cstdint>
#include <vector>

#include "sim/engine/walk/trace_walk.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {

/// What a trace keeps of one head's prompt beside its rows, as far as scorers need it.
class PromptRecord {
 public:
  /// `head` counts as in TraceWalk; the trace has what `needs` says.
  PromptRecord(TraceWalk& walk, std::int64_t head, const TraceNeeds& needs);

  /// Without rows; valid as long as the record.
  PromptView view() const;

 private:
  std::int64_t group_;
  std::int64_t head_dim_;
  std::int64_t entries_;
  std::vector<std::int64_t> positions_;
  std::vector<float> queries_;  ///< [positions, group, head_dim]
  std::vector<float> sums_;     ///< [group, entries], or empty
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/walk/captured_head.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/interfaces/types.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// Brings the rows of a trace to the heads, in order, through bounded buffers. One thread only.
class TraceFeed {
 public:
  explicit TraceFeed(const trace::Reader& trace);

  /// Entries [0, count) of one head into `into`, which is empty.
  void fill(HeadId head, std::int64_t count, CapturedHead& into) const;
  /// The rows of one head for the step at `position`; valid until the next call.
  struct Rows {
    std::span<const Half> queries;  ///< [group, head_dim]
    std::span<const Half> key;
    std::span<const Half> value;
  };
  Rows rows(HeadId head, std::int64_t position);
  /// The queries [group, head_dim] of one head at `position`, which must have some; valid as long.
  std::span<const Half> queries(HeadId head, std::int64_t position);
  /// The same of the queries that the layer below speculates on; the trace has them for this layer.
  std::span<const Half> speculated(HeadId head, std::int64_t position);
  /// What the token at `position` is; `other` where the trace does not say.
  TokenClass token_class(std::int64_t position) const {
    return classes_.empty() ? TokenClass::other : classes_[static_cast<std::size_t>(position)];
  }
  /// The last positions before `position` that have queries, ascending, `most` of them at most.
  std::vector<std::int64_t> query_positions_before(std::int64_t position, std::int64_t most) const;

 private:
  struct HeadWindows {
    trace::Window key;
    trace::Window value;
    std::vector<trace::Window> queries;     ///< [group]
    std::vector<trace::Window> speculated;  ///< [group], once they were asked for
  };

  HeadWindows& windows_of(HeadId head) {
    return windows_[static_cast<std::size_t>(head.layer * heads_ + head.head)];
  }
  std::span<const Half> rows_of(std::vector<trace::Window>& windows, std::int64_t position);

  const trace::Reader* trace_;
  std::int64_t heads_;
  std::int64_t group_;
  std::vector<HeadWindows> windows_;
  std::vector<TokenClass> classes_;  ///< [tokens], or none
  std::vector<Half> queries_;
};

}  // namespace kvr

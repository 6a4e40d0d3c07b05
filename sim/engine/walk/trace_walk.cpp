#include "sim/engine/walk/trace_walk.hpp"

#include "sim/base/error.hpp"

namespace kvr {

TraceWalk::TraceWalk(const trace::Reader& trace, const StepRange& steps)
    : TraceWalk(trace, steps, {0, std::ssize(trace.header().captured_layers)}) {}

TraceWalk::TraceWalk(const trace::Reader& trace, const StepRange& steps, const LayerRange& layers)
    : trace_(&trace),
      steps_(steps),
      layers_(layers),
      kv_heads_(trace.header().kv_heads_captured()),
      feed_(trace),
      queries_(static_cast<std::size_t>(head_count())),
      speculates_(static_cast<std::size_t>(layers.count), 0),
      speculated_(queries_.size()) {
  const trace::Geometry& g = trace.header().geometry;
  for (std::int64_t head = 0; head < head_count(); ++head) {
    rows_.emplace_back(steps.first_position + steps.count, g.head_dim);
    truths_.emplace_back(g.group(), g.head_dim, g.attention_scale);
  }
}

void TraceWalk::enter_prompt() {
  for (std::int64_t head = 0; head < head_count(); ++head) {
    feed_.fill(head_id(head), steps_.first_position, rows_[static_cast<std::size_t>(head)]);
  }
}

void TraceWalk::enter(std::int64_t position) {
  for (std::int64_t head = 0; head < head_count(); ++head) {
    const auto h = static_cast<std::size_t>(head);
    KVR_CHECK(rows_[h].entries() == position, "position {} after {} entries", position, rows_[h].entries());
    const TraceFeed::Rows rows = feed_.rows(head_id(head), position);
    queries_[h].assign(rows.queries.begin(), rows.queries.end());
    rows_[h].append(rows.key, rows.value);
    if (speculates_[h / static_cast<std::size_t>(kv_heads_)] != 0) {
      const auto speculated = feed_.speculated(head_id(head), position);
      speculated_[h].assign(speculated.begin(), speculated.end());
    }
    truths_[h].ask(queries_[h], rows_[h].view(position + 1));
  }
}

}  // namespace kvr

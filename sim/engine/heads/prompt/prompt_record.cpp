#include "sim/engine/heads/prompt/prompt_record.hpp"

#include "sim/base/convert.hpp"

namespace kvr {

PromptRecord::PromptRecord(TraceWalk& walk, std::int64_t head, const TraceNeeds& needs)
    : group_(walk.trace().header().geometry.group()),
      head_dim_(walk.trace().header().geometry.head_dim),
      entries_(walk.steps().first_position),
      positions_(walk.feed().query_positions_before(entries_, needs.prompt_window)) {
  const HeadId id = walk.head_id(head);
  const auto row = static_cast<std::size_t>(group_ * head_dim_);
  queries_.resize(positions_.size() * row);
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    to_float(walk.feed().queries(id, positions_[i]), std::span(queries_).subspan(i * row, row));
  }
  if (needs.prompt_attention_sums) {
    sums_.resize(static_cast<std::size_t>(group_ * entries_));
    const auto sums = matrix_ref(sums_.data(), group_, entries_);
    for (std::int64_t query = 0; query < group_; ++query) {
      walk.trace().read_prompt_attention_sums(id.layer, id.head * group_ + query, sums.row(query));
    }
  }
}

PromptView PromptRecord::view() const {
  PromptView view;
  view.window_queries = matrix_view<float>(queries_.data(), std::ssize(positions_) * group_, head_dim_);
  view.window_positions = positions_;
  if (!sums_.empty()) {
    view.attention_sums = matrix_view<float>(sums_.data(), group_, entries_);
  }
  return view;
}

}  // namespace kvr

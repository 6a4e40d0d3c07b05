#include "sim/engine/heads/prompt/prompt_record.hpp"

#include "sim/engine/heads/attention/head_queries.hpp"

namespace kvr {

PromptRecord::PromptRecord(TraceWalk& walk, std::int64_t first_head, std::int64_t heads,
                           const TraceNeeds& needs)
    : heads_(heads),
      group_(walk.trace().header().geometry.group()),
      head_dim_(walk.trace().header().geometry.head_dim),
      entries_(walk.steps().first_position),
      positions_(walk.feed().query_positions_before(entries_, needs.prompt_window)) {
  queries_.resize(positions_.size() * static_cast<std::size_t>(heads * group_ * heads * head_dim_));
  if (needs.prompt_attention_sums) {
    sums_.resize(static_cast<std::size_t>(heads * group_ * entries_));
  }
  for (EntryIndex entry = 0; needs.token_classes && entry < entries_; ++entry) {
    classes_.push_back(walk.feed().token_class(entry));
  }
  for (std::int64_t head = 0; head < heads; ++head) {
    read_queries(walk, walk.head_id(first_head + head), head);
    read_sums(walk, walk.head_id(first_head + head), head);
  }
}

void PromptRecord::read_queries(TraceWalk& walk, HeadId head, std::int64_t in_set) {
  const auto of_position = static_cast<std::size_t>(heads_ * group_ * heads_ * head_dim_);
  for (std::size_t i = 0; i < positions_.size(); ++i) {
    place_queries(walk.feed().queries(head, positions_[i]), in_set, heads_, head_dim_,
                  std::span(queries_).subspan(i * of_position, of_position));
  }
}

void PromptRecord::read_sums(const TraceWalk& walk, HeadId head, std::int64_t in_set) {
  if (sums_.empty()) {
    return;
  }
  const auto sums = matrix_ref(sums_.data(), heads_ * group_, entries_);
  for (std::int64_t query = 0; query < group_; ++query) {
    walk.trace().read_prompt_attention_sums(head.layer, head.head * group_ + query,
                                            sums.row(in_set * group_ + query));
  }
}

PromptView PromptRecord::view() const {
  PromptView view;
  view.window_queries =
      matrix_view<float>(queries_.data(), std::ssize(positions_) * heads_ * group_, heads_ * head_dim_);
  view.window_positions = positions_;
  if (!sums_.empty()) {
    view.attention_sums = matrix_view<float>(sums_.data(), heads_ * group_, entries_);
  }
  view.token_classes = classes_;
  return view;
}

}  // namespace kvr

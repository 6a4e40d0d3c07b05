#include "sim/engine/heads/attention/selected_attention.hpp"

#include "sim/base/error.hpp"
#include "sim/engine/heads/selection.hpp"
#include "sim/kernels/attention.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {

SelectedAttention::SelectedAttention(std::int64_t group, std::int64_t head_dim, float scale)
    : head_dim_(head_dim), scale_(scale), out_(static_cast<std::size_t>(group * head_dim)) {}

void SelectedAttention::attend(const MatrixView<float>& queries, std::int64_t first_query, std::int64_t count,
                               const HeadView& view, std::span<const EntryIndex> entries) {
  entries_.assign(entries.begin(), entries.end());
  marked_.assign(static_cast<std::size_t>(view.entries()), 0);
  mark();
  std::vector<kernels::AttentionResult> normalisers(static_cast<std::size_t>(count));
  kernels::attend_selected(queries.slice(first_query, count), view.keys, view.values, entries_, scale_,
                           matrix_ref(out_.data() + first_query * head_dim_, count, head_dim_), normalisers);
}

void SelectedAttention::mark() {
  for (const EntryIndex entry : entries_) {
    std::uint8_t& mark = marked_[static_cast<std::size_t>(entry)];
    KVR_CHECK(mark == 0, "entry {} is attended to twice", entry);
    mark = 1;
  }
}

std::span<const float> SelectedAttention::weights(const MatrixView<float>& queries, std::int64_t query,
                                                  const HeadView& view) {
  const std::int64_t count = std::ssize(entries_);
  keys_.clear();
  for (const EntryIndex entry : entries_) {
    const auto key = view.keys.row(entry);
    keys_.insert(keys_.end(), key.begin(), key.end());
  }
  weights_.resize(entries_.size());
  kernels::dot_rows(queries.slice(query, 1), matrix_view<Half>(keys_.data(), count, head_dim_),
                    matrix_ref(weights_.data(), 1, count));
  for (float& weight : weights_) {
    weight *= scale_;
  }
  softmax_in_place(weights_);
  return weights_;
}

std::span<const float> SelectedAttention::out(std::int64_t query) const {
  const auto d = static_cast<std::size_t>(head_dim_);
  return std::span(out_).subspan(static_cast<std::size_t>(query) * d, d);
}

}  // namespace kvr

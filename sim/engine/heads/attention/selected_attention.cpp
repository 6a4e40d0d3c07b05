#include "sim/engine/heads/attention/selected_attention.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/engine/heads/selection.hpp"
#include "sim/kernels/attention.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {

SelectedAttention::SelectedAttention(std::int64_t group, std::int64_t head_dim, float scale)
    : head_dim_(head_dim),
      scale_(scale),
      out_(static_cast<std::size_t>(group * head_dim)),
      own_(static_cast<std::size_t>(group)),
      shares_(own_.size(), 1.0) {}

void SelectedAttention::attend(const MatrixView<float>& queries, std::int64_t first_query, std::int64_t count,
                               const HeadView& view, std::span<const EntryIndex> entries) {
  entries_.assign(entries.begin(), entries.end());
  marked_.assign(static_cast<std::size_t>(view.entries()), 0);
  mark();
  std::vector<kernels::AttentionResult> normalisers(static_cast<std::size_t>(count));
  kernels::attend_selected(queries.slice(first_query, count), view.keys, view.values, entries_, scale_,
                           matrix_ref(out_.data() + first_query * head_dim_, count, head_dim_), normalisers);
  for (std::int64_t query = 0; query < count; ++query) {
    const kernels::AttentionResult& one = normalisers[static_cast<std::size_t>(query)];
    own_[static_cast<std::size_t>(first_query + query)] = {one.max_logit, one.sum};
    shares_[static_cast<std::size_t>(first_query + query)] = 1.0;
  }
}

void SelectedAttention::merge(std::int64_t query, std::span<const float> values, const PartialSoftmax& more) {
  const PartialSoftmax& own = own_[static_cast<std::size_t>(query)];
  const auto over = [peak = std::max(own.max_logit, more.max_logit)](const PartialSoftmax& one) {
    return one.sum * std::exp(static_cast<double>(one.max_logit) - static_cast<double>(peak));
  };
  const double share = over(own) / (over(own) + over(more));
  const auto out = std::span(out_).subspan(static_cast<std::size_t>(query * head_dim_), values.size());
  std::ranges::transform(out, values, out.begin(), [share](float a, float b) {
    return static_cast<float>(share * static_cast<double>(a) + (1.0 - share) * static_cast<double>(b));
  });
  shares_[static_cast<std::size_t>(query)] = share;
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
  if (const double share = shares_[static_cast<std::size_t>(query)]; share < 1.0) {
    for (float& weight : weights_) {
      weight *= static_cast<float>(share);
    }
  }
  return weights_;
}

std::span<const float> SelectedAttention::out(std::int64_t query) const {
  const auto d = static_cast<std::size_t>(head_dim_);
  return std::span(out_).subspan(static_cast<std::size_t>(query) * d, d);
}

}  // namespace kvr

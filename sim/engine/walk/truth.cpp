#include "sim/engine/walk/truth.hpp"

#include <algorithm>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/kernels/attention.hpp"
#include "sim/kernels/topk.hpp"

namespace kvr {

HeadTruth::HeadTruth(std::int64_t group, std::int64_t head_dim, double attention_scale)
    : group_(group),
      head_dim_(head_dim),
      attention_scale_(static_cast<float>(attention_scale)),
      queries_(static_cast<std::size_t>(group * head_dim)),
      out_(queries_.size()) {}

void HeadTruth::ask(std::span<const Half> queries, const HeadView& entries) {
  to_float(queries, queries_);
  entries_ = entries;
  found_ = false;
  rankings_.clear();
  needed_.assign(static_cast<std::size_t>(group_), {});
}

void HeadTruth::find() {
  if (found_) {
    return;
  }
  const std::int64_t entries = entries_.keys.rows;
  probabilities_.resize(static_cast<std::size_t>(group_ * entries));
  std::vector<kernels::AttentionResult> normalisers(static_cast<std::size_t>(group_));
  kernels::attend_all(matrix_view(queries_.data(), group_, head_dim_), entries_.keys, entries_.values,
                      attention_scale_, matrix_ref(out_.data(), group_, head_dim_), normalisers,
                      matrix_ref(probabilities_.data(), group_, entries));
  found_ = true;
}

std::span<const float> HeadTruth::out(std::int64_t query) const {
  KVR_CHECK(found_, "the attention was not computed");
  return matrix_view(out_.data(), group_, head_dim_).row(query);
}

std::span<const float> HeadTruth::probabilities(std::int64_t query) const {
  KVR_CHECK(found_, "the attention was not computed");
  return matrix_view(probabilities_.data(), group_, entries_.keys.rows).row(query);
}

std::span<const EntryIndex> HeadTruth::best(std::int64_t query, const CandidateRange& range,
                                            std::int64_t count) {
  std::vector<EntryIndex>& entries = ranking(query, range).entries;
  if (std::ssize(entries) < count) {
    const auto candidates = probabilities(query).subspan(static_cast<std::size_t>(range.begin),
                                                         static_cast<std::size_t>(range.size()));
    // Points of a sweep ask for ever larger budgets side by side: twice as many serve some of them at once.
    const std::int64_t most = std::min(range.size(), 2 * std::ssize(entries));
    kernels::top_k(candidates, std::max(count, most), entries);
    for (EntryIndex& entry : entries) {
      entry += range.begin;
    }
  }
  return std::span(entries).first(static_cast<std::size_t>(count));
}

std::span<const EntryIndex> HeadTruth::needed(std::int64_t query) {
  std::vector<EntryIndex>& entries = needed_[static_cast<std::size_t>(query)];
  if (entries.empty()) {
    kernels::heaviest(probabilities(query), kNeededMass, entries);
  }
  return entries;
}

HeadTruth::Ranking& HeadTruth::ranking(std::int64_t query, const CandidateRange& range) {
  const auto known = std::ranges::find_if(
      rankings_, [&](const Ranking& one) { return one.query == query && one.range == range; });
  if (known != rankings_.end()) {
    return *known;
  }
  return rankings_.emplace_back(Ranking{query, range, {}});
}

}  // namespace kvr

// An entry is worth as many of the last queries as found it important:
//
//   query at t:      hit[t][entry] = p[t][entry] >= 1 / n         p over the n entries that it attends to
//   prompt:          the same of its last queries, over all that each could see
//   score(entry)     = hits among the last `window` queries       each query head for itself
//                      at least 1 while fewer than `window` queries have seen it
//   score(unit)      = largest of its members
//
// With a budget that takes what scores 1 and more, an entry goes once `window` queries in a row passed it by.
// A phone keeps a ring of `window` bits an entry; here the hits of each query are listed.
#include <algorithm>
#include <deque>
#include <numeric>
#include <vector>

#include "policies/scorer/prompt_softmax.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

/// The hits of one query head: whom each of the last queries found important, and how often that makes.
class Hits {
 public:
  /// `position`: of the query, which follows the last one's.
  void push(std::int64_t position, std::span<const EntryIndex> entries, std::span<const float> weights,
            std::int64_t window) {
    const auto level = static_cast<float>(1.0 / static_cast<double>(entries.size()));
    counts_.resize(std::max(counts_.size(), static_cast<std::size_t>(position) + 1), 0);
    std::vector<EntryIndex> hit;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (weights[i] >= level) {
        hit.push_back(entries[i]);
        ++counts_[static_cast<std::size_t>(entries[i])];
      }
    }
    rows_.push_back(std::move(hit));
    last_ = position;
    if (std::ssize(rows_) > window) {
      for (const EntryIndex entry : rows_.front()) {
        --counts_[static_cast<std::size_t>(entry)];
      }
      rows_.pop_front();
    }
  }

  /// Of the last `window` queries; one that fewer have seen is not judged yet.
  std::int32_t of(EntryIndex entry, std::int64_t window) const {
    const auto at = static_cast<std::size_t>(entry);
    const std::int32_t hits = at < counts_.size() ? counts_[at] : 0;
    const std::int64_t seen_by = std::min<std::int64_t>(std::ssize(rows_), last_ - entry + 1);
    return seen_by < window ? std::max(hits, 1) : hits;
  }

 private:
  std::deque<std::vector<EntryIndex>> rows_;  // of the last queries, oldest first
  std::vector<std::int32_t> counts_;          // [entries]
  std::int64_t last_ = -1;
};

class RecentHits final : public Scorer {
 public:
  static constexpr std::string_view kName = "recent_hits";
  static constexpr std::string_view kDoc =
      "Ranks units by how many of the last queries gave their entries more than an equal share of attention.";
  static constexpr std::string_view kSource =
      "CORM, arXiv 2404.15949 (its abstract and recollection; the body was not read)";

  struct Params {
    std::int64_t window = 256;
    std::int64_t prompt_queries = 32;
  };
  static ParamTable<Params> params() {
    return {{"window",
             &Params::window,
             {.doc = "last queries that count; an entry that fewer have seen is kept",
              .unit = "queries",
              .min = 1,
              .max = bounds::kEntries,
              .source = "CORM: about 256, from recollection"}},
            {"prompt_queries",
             &Params::prompt_queries,
             {.doc = "last queries of the prompt that are asked when it has been read, at most `window`; the "
                     "trace must have them",
              .unit = "queries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ours: what traces keep; CORM asks `window`"}}};
  }

  RecentHits(const Params& params, const Context& context)
      : params_(params), context_(context), hits_(static_cast<std::size_t>(context.group)) {}

  TraceNeeds needs() const override { return {.prompt_window = asked()}; }
  bool asks_queries() const override { return false; }

  void begin(const PromptView& prompt, Work& work) override {
    const auto queries = static_cast<std::int64_t>(std::ssize(prompt.window_positions));
    PromptSoftmax softmax(context_.attention_scale);
    for (std::int64_t t = std::max<std::int64_t>(0, queries - asked()); t < queries; ++t) {
      const std::int64_t position = prompt.window_positions[static_cast<std::size_t>(t)];
      std::vector<EntryIndex> entries(static_cast<std::size_t>(position) + 1);
      std::iota(entries.begin(), entries.end(), EntryIndex{0});
      for (std::int64_t query = 0; query < context_.group; ++query) {
        push(query, entries, softmax.weights(prompt, t, query, context_.group), work);
      }
      work += static_cast<double>(context_.group * (position + 1)) *
              PromptSoftmax::key_work(context_.query_dim());
    }
  }

  bool wants_attention() const override { return true; }
  void attended(std::int64_t query, std::span<const EntryIndex> entries, std::span<const float> weights,
                Work& work) override {
    push(query, entries, weights, work);
  }

  void update(std::span<const Change> changes, const Clustering&, const HeadView& view, Work&) override {
    seen_ = view.entries();
    removed_ += std::ranges::count(changes, ChangeKind::removed, &Change::kind);
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      const Hits& hits = hits_[static_cast<std::size_t>(query)];
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        std::int32_t best = 0;
        for (const EntryIndex entry : clustering.members(unit)) {
          best = std::max(best, hits.of(entry, params_.window));
        }
        scores.row(query)[static_cast<std::size_t>(unit)] = static_cast<float>(best);
      }
    }
    work += static_cast<double>(queries.rows * live()) * ring_work();
  }

  /// `window` bits for each entry and query head.
  std::int64_t dram_bytes() const override { return std::ssize(hits_) * live() * ((params_.window + 7) / 8); }

 private:
  std::int64_t asked() const { return std::min(params_.window, params_.prompt_queries); }
  std::int64_t live() const { return seen_ - removed_; }

  void push(std::int64_t query, std::span<const EntryIndex> entries, std::span<const float> weights,
            Work& work) {
    hits_[static_cast<std::size_t>(query)].push(std::ranges::max(entries), entries, weights, params_.window);
    work += static_cast<double>(entries.size()) * Work{.flops = 1.0, .bytes = 4.0 + 1.0 / 8.0};
  }

  /// The bits of an entry are or-ed and counted by words of 64.
  Work ring_work() const {
    const auto window = static_cast<double>(params_.window);
    return {.flops = window / 64.0, .bytes = window / 8.0};
  }

  Params params_;
  Context context_;
  std::vector<Hits> hits_;  // [group]
  std::int64_t seen_ = 0;
  std::int64_t removed_ = 0;
};

const Registration<Scorer, RecentHits> registered;

}  // namespace
}  // namespace kvr

// An entry is worth the attention that it has got so far:
//
//   prompt:          S[query][entry] = attention of all queries of the prompt, as the trace keeps it
//   every step:      S[query][entry] += softmax over what is left, the new entry included
//   score(unit)      = sum of S over its members
//
// S is not divided by an entry's age, so early entries are favoured, as in the original.
#include <algorithm>
#include <vector>

#include "policies/scorer/entry_sums.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

class AccumulatedAttention final : public Scorer {
 public:
  static constexpr std::string_view kName = "accumulated_attention";
  static constexpr std::string_view kDoc =
      "Ranks units by all the attention that their entries have got since the prompt began.";
  static constexpr std::string_view kSource = "H2O, NeurIPS'23";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  AccumulatedAttention(Params, const Context& context) : sums_(static_cast<std::size_t>(context.group)) {}

  TraceNeeds needs() const override { return {.prompt_attention_sums = true}; }
  bool asks_queries() const override { return false; }

  void begin(const PromptView& prompt, Work&) override {
    for (std::size_t query = 0; query < sums_.size(); ++query) {
      const auto row = prompt.attention_sums.row(static_cast<std::int64_t>(query));
      sums_[query].assign(row.begin(), row.end());
    }
  }

  bool wants_attention() const override { return true; }
  void attended(std::int64_t query, std::span<const EntryIndex> entries, std::span<const float> weights,
                Work& work) override {
    std::vector<float>& sums = sums_[static_cast<std::size_t>(query)];
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto entry = static_cast<std::size_t>(entries[i]);
      sums.resize(std::max(sums.size(), entry + 1), 0.0F);
      sums[entry] += weights[i];
    }
    work += static_cast<double>(entries.size()) * kAdd;
  }

  void update(std::span<const Change> changes, const Clustering&, const HeadView& view, Work&) override {
    entries_ = view.entries();
    removed_ += std::ranges::count(changes, ChangeKind::removed, &Change::kind);
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    score_by_sums(sums_, clustering, scores);
    work += static_cast<double>(queries.rows * (entries_ - removed_)) * kAdd;
  }

  /// A sum in float32 for each entry and query head.
  std::int64_t dram_bytes() const override { return (entries_ - removed_) * std::ssize(sums_) * 4; }

 private:
  static constexpr Work kAdd = {.flops = 1.0, .bytes = 4.0 + 4.0};  // a weight and a sum, which is written

  std::vector<std::vector<float>> sums_;  // [group][entries]
  std::int64_t entries_ = 0;
  std::int64_t removed_ = 0;
};

const Registration<Scorer, AccumulatedAttention> registered;

}  // namespace
}  // namespace kvr

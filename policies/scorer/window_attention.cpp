// An entry is worth the attention that the last queries of the prompt give it and its neighbours:
//
//   p[t] = causal softmax over the whole prompt, for each query t of the window
//   a[entry] = sum over t of p[t][entry]                     entries before the window; group: sum
//                                                            of all query heads, which then score alike
//   pooled[entry] = mean or max of a over the kernel around it, places beyond the ends count as 0
//   score(unit) = sum of pooled over its members             0 for the window and for later entries
//
// Found once, when the prompt has been read.
#include <algorithm>
#include <functional>
#include <vector>

#include "policies/scorer/entry_sums.hpp"
#include "policies/scorer/prompt_softmax.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

class WindowAttention final : public Scorer {
 public:
  static constexpr std::string_view kName = "window_attention";
  static constexpr std::string_view kDoc =
      "Ranks units by the attention that the prompt's last queries give to their entries, pooled over "
      "neighbours; known when the prompt has been read, and never revised.";
  static constexpr std::string_view kSource = "SnapKV, NeurIPS'24; group: sum, RocketKV, ICML'25";

  struct Params {
    std::int64_t window = 32;
    std::int64_t kernel = 5;
    std::string pool = "mean";
    std::string group = "each";
  };
  static ParamTable<Params> params() {
    return {
        {"window",
         &Params::window,
         {.doc = "last queries of the prompt that are asked; pin as many recent entries",
          .unit = "entries",
          .min = 1,
          .max = bounds::kEntries,
          .source = "SnapKV: 32 in its code, 64 in its class"}},
        {"kernel",
         &Params::kernel,
         {.doc = "neighbours that are pooled, the entry itself in their middle; an odd number, an even one "
                 "takes one more before than behind; 1: none",
          .unit = "entries",
          .min = 1,
          .max = bounds::kEntries,
          .source = "SnapKV: 5"}},
        {"pool", &Params::pool, {.doc = "how", .choices = "mean|max", .source = "SnapKV: mean"}},
        {"group",
         &Params::group,
         {.doc =
              "each: every query head has scores of its own, for `fold`; sum: they are added up before they "
              "are pooled, which for the mean comes to the same",
          .choices = "each|sum",
          .source = "sum: RocketKV, ICML'25"}}};
  }

  WindowAttention(const Params& params, const Context& context) : params_(params), context_(context) {}

  TraceNeeds needs() const override { return {.prompt_window = params_.window}; }
  bool asks_queries() const override { return false; }

  void begin(const PromptView& prompt, Work& work) override {
    const auto queries = static_cast<std::int64_t>(std::ssize(prompt.window_positions));
    const std::int64_t first = std::max<std::int64_t>(0, queries - params_.window);
    const auto before_window =
        queries == 0 ? 0 : static_cast<std::size_t>(prompt.window_positions[static_cast<std::size_t>(first)]);
    const bool together = params_.group == "sum";
    PromptSoftmax softmax(context_.attention_scale);
    std::vector<float> sums;
    for (std::int64_t query = 0; query < context_.group; ++query) {
      if (query == 0 || !together) {
        sums.assign(before_window, 0.0F);
      }
      for (std::int64_t t = first; t < queries; ++t) {
        const auto weights = softmax.weights(prompt, t, query, context_.group).first(before_window);
        std::ranges::transform(sums, weights, sums.begin(), std::plus{});
      }
      if (!together) {
        pooled_.push_back(pooled(sums));
      }
    }
    if (together) {
      pooled_.assign(static_cast<std::size_t>(context_.group), pooled(sums));
    }
    work += static_cast<double>((queries - first) * context_.group * prompt.rows.entries()) *
            PromptSoftmax::key_work(context_.query_dim());
  }

  void update(std::span<const Change>, const Clustering&, const HeadView&, Work&) override {}

  void score(const MatrixView<float>&, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work&) override {
    score_by_sums(pooled_, clustering, scores);
  }

  /// What is chosen is chosen once: nothing is kept while decoding.
  std::int64_t dram_bytes() const override { return 0; }

 private:
  std::vector<float> pooled(const std::vector<float>& sums) const {
    const std::int64_t before = params_.kernel / 2;
    const std::int64_t behind = params_.kernel - 1 - before;
    std::vector<float> result(sums.size());
    for (std::int64_t entry = 0; entry < std::ssize(sums); ++entry) {
      const auto begin = sums.begin() + std::max<std::int64_t>(0, entry - before);
      const auto end = sums.begin() + std::min<std::int64_t>(std::ssize(sums), entry + behind + 1);
      float total = 0.0F;
      for (auto at = begin; at != end; ++at) {
        total = params_.pool == "max" ? std::max(total, *at) : total + *at;
      }
      result[static_cast<std::size_t>(entry)] =
          params_.pool == "max" ? total : total / static_cast<float>(params_.kernel);
    }
    return result;
  }

  Params params_;
  Context context_;
  std::vector<std::vector<float>> pooled_;  // [group][entries before the window]
};

const Registration<Scorer, WindowAttention> registered;

}  // namespace
}  // namespace kvr

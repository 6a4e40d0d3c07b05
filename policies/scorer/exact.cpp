// The true worth of every unit, from all keys:
//
//   logit(entry) = attention_scale * q . k
//   mass: score(unit) = log(sum of exp(logit) over the members), so a softmax over units gives their share
//   max:  score(unit) = largest logit of a member
#include <algorithm>

#include "policies/scorer/unit_worth.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {
namespace {

class Exact final : public Scorer {
 public:
  static constexpr std::string_view kName = "exact";
  static constexpr std::string_view kDoc =
      "Scores units by the true logits of their members; all keys stay in DRAM. With units of several "
      "entries it "
      "bounds the attention mass that can be had, not the recall.";
  static constexpr std::string_view kSource = "ours (the bound that every other scorer is measured against)";

  struct Params {
    std::string reduce = "mass";
  };
  static ParamTable<Params> params() { return {{"reduce", &Params::reduce, UnitWorth::doc()}}; }

  Exact(const Params& params, const Context& context) : worth_(params.reduce), context_(context) {}

  void update(std::span<const Change> changes, const Clustering&, const HeadView& view, Work&) override {
    removed_ += std::ranges::count(changes, ChangeKind::removed, &Change::kind);
    entries_ = view.entries();
  }

  void score(const MatrixView<float>& queries, const Clustering& clustering, const HeadView& view,
             const MatrixRef<float>& scores, Work& work) override {
    logits_.resize(static_cast<std::size_t>(queries.rows * view.entries()));
    const auto logits = matrix_ref(logits_.data(), queries.rows, view.entries());
    kernels::dot_rows(queries, view.keys, logits);
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        if (clustering.members(unit).empty()) {
          continue;
        }
        scores.row(query)[static_cast<std::size_t>(unit)] =
            worth_(logits.row(query), static_cast<float>(context_.attention_scale), clustering.members(unit));
      }
    }
    work += score_work(queries.rows, view.entries() - removed_);
  }

  /// All keys, in fp16.
  std::int64_t dram_bytes() const override { return (entries_ - removed_) * context_.head_dim * 2; }

 private:
  /// A product and a sum for each element; to scale and to reduce, one operation each for every logit.
  Work score_work(std::int64_t group, std::int64_t entries) const {
    const auto d = static_cast<double>(context_.head_dim);
    const auto keys = static_cast<double>(entries);
    const auto products = static_cast<double>(context_.query_dim());
    return {static_cast<double>(group) * keys * (2.0 * products + 2.0), 2.0 * keys * d};
  }

  UnitWorth worth_;
  Context context_;
  std::int64_t entries_ = 0;
  std::int64_t removed_ = 0;
  std::vector<float> logits_;  // [group, entries], scratch
};

const Registration<Scorer, Exact> registered;

}  // namespace
}  // namespace kvr

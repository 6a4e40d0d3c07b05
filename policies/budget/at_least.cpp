// As many entries as score enough, so that the number follows from the scores:
//
//   entries = min(most, members of candidate units that score at least `score`)
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class AtLeast final : public Budget {
 public:
  static constexpr std::string_view kName = "at_least";
  static constexpr std::string_view kDoc =
      "Every head may select what scores at least a given value, up to a number of entries.";
  static constexpr std::string_view kSource =
      "CORM, arXiv 2404.15949 (its rule without a budget; `most`: its capped variant); FastGen, ICLR'24";

  struct Params {
    double score = 1.0;
    std::int64_t most = static_cast<std::int64_t>(bounds::kEntries);
  };
  static ParamTable<Params> params() {
    return {{"score",
             &Params::score,
             {.doc = "least score of what is taken, as the stage folds it",
              .min = -1e6,
              .max = 1e6,
              .source = "CORM: one hit"}},
            {"most",
             &Params::most,
             {.doc = "never more entries than this, the best first",
              .unit = "entries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ours: no cap"}}};
  }

  AtLeast(Params params, const Context&) : params_(params) {}

  BudgetNeeds needs() const override { return {.candidate_sizes = true}; }
  bool compares_heads() const override { return false; }

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    std::ranges::transform(heads, entries.begin(), [this](const HeadCandidates& head) {
      std::int64_t enough = 0;
      for (std::size_t unit = 0; unit < head.scores.size(); ++unit) {
        enough += static_cast<double>(head.scores[unit]) >= params_.score ? head.sizes[unit] : 0;
      }
      return std::min(enough, params_.most);
    });
  }

 private:
  Params params_;
};

const Registration<Budget, AtLeast> registered;

}  // namespace
}  // namespace kvr

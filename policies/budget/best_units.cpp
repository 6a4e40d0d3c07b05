// Whole units, so many of the best as are a share of all:
//
//   count   = max(least, round(share * units)),   halves rounded up; units: all that there ever were
//   entries = members of the `count` best units that have any left, ties to the lower unit
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"
#include "sim/kernels/topk.hpp"

namespace kvr {
namespace {

class BestUnits final : public Budget {
 public:
  static constexpr std::string_view kName = "best_units";
  static constexpr std::string_view kDoc =
      "Every head may select a share of its units, with all that is in them.";
  static constexpr std::string_view kSource =
      "RetroInfer, arXiv 2505.02922 (code RetrievalAttention @6b1228c)";

  struct Params {
    double share = 0.018;
    std::int64_t least = 1;
  };
  static ParamTable<Params> params() {
    return {
        {"share",
         &Params::share,
         {.doc = "of the units",
          .min = 0,
          .max = 1,
          .source = "RetroInfer: 0.018 are read, 0.232 estimated"}},
        {"least",
         &Params::least,
         {.doc = "never fewer units than this", .min = 0, .max = bounds::kEntries, .source = "RetroInfer"}}};
  }

  BestUnits(Params params, const Context&) : params_(params) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    std::ranges::transform(heads, entries.begin(),
                           [this](const HeadCandidates& head) { return in_best(head); });
  }
  bool compares_heads() const override { return false; }

 private:
  std::int64_t in_best(const HeadCandidates& head) const {
    std::vector<float> scores(head.scores.begin(), head.scores.end());
    for (std::size_t unit = 0; unit < scores.size(); ++unit) {
      scores[unit] = head.sizes[unit] > 0 ? scores[unit] : -std::numeric_limits<float>::infinity();
    }
    const std::int64_t share = std::llround(params_.share * static_cast<double>(scores.size()));
    std::vector<std::int32_t> best;
    kernels::top_k(scores, std::max(params_.least, share), best);
    std::int64_t members = 0;
    for (const std::int32_t unit : best) {
      members += head.sizes[static_cast<std::size_t>(unit)];
    }
    return members;
  }

  Params params_;
};

const Registration<Budget, BestUnits> registered;

}  // namespace
}  // namespace kvr

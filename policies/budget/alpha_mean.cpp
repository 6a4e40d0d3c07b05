// As many entries for every head as lie close to the best, on average over the heads of the scope:
//
//   count(head) = candidates whose units score at least the head's largest score less alpha
//   mean        = sum of the counts / heads, rounded down
//   entries     = min(mean, floor(cap_share * visible), cap_entries)
//
// Scores are logits: alpha is the logarithm of how much less than the largest a weight may be.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class AlphaMean final : public Budget {
 public:
  static constexpr std::string_view kName = "alpha_mean";
  static constexpr std::string_view kDoc =
      "All heads of the scope get the same number of entries, that of those within a distance of a head's "
      "best, on average over the heads.";
  static constexpr std::string_view kSource = "InfiniGen, OSDI'24, sec. 4.3";

  struct Params {
    double alpha = 5.0;
    double cap_share = 0.2;
    std::int64_t cap_entries = static_cast<std::int64_t>(bounds::kEntries);
  };
  static ParamTable<Params> params() {
    return {{"alpha",
             &Params::alpha,
             {.doc = "what a score may be below the head's largest",
              .min = 0,
              .max = 1e6,
              .source = "InfiniGen: 4 for OPT, 5 for Llama-2"}},
            {"cap_share",
             &Params::cap_share,
             {.doc = "at most this share of a head's visible entries, the current one included, rounded down",
              .min = 0,
              .max = 1,
              .source = "InfiniGen's accuracy runs"}},
            {"cap_entries",
             &Params::cap_entries,
             {.doc = "at most so many entries of a head",
              .unit = "entries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ours: no cap; InfiniGen's speed runs: 400"}}};
  }

  AlphaMean(Params params, const Context&) : params_(params) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    std::int64_t sum = 0;
    for (const HeadCandidates& head : heads) {
      sum += close_to_best(head);
    }
    const std::int64_t mean = sum / std::max<std::int64_t>(1, std::ssize(heads));
    std::ranges::transform(heads, entries.begin(), [this, mean](const HeadCandidates& head) {
      const double share = std::floor(params_.cap_share * static_cast<double>(head.visible));
      return std::min({mean, static_cast<std::int64_t>(share), params_.cap_entries});
    });
  }

 private:
  std::int64_t close_to_best(const HeadCandidates& head) const {
    float best = -std::numeric_limits<float>::infinity();
    for (std::size_t unit = 0; unit < head.scores.size(); ++unit) {
      best = head.sizes[unit] > 0 ? std::max(best, head.scores[unit]) : best;
    }
    std::int64_t count = 0;
    for (std::size_t unit = 0; unit < head.scores.size(); ++unit) {
      const double below = static_cast<double>(best) - static_cast<double>(head.scores[unit]);
      count += head.sizes[unit] > 0 && below <= params_.alpha ? head.sizes[unit] : 0;
    }
    return count;
  }

  Params params_;
};

const Registration<Budget, AlphaMean> registered;

}  // namespace
}  // namespace kvr

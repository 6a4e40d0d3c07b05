// As few entries as keep nearly the norm of the attention that the last query pays, the same number for all
// heads of the scope:
//
//   p[h]    = softmax of query head h over what is visible, at the candidates alone
//   kept(k) = mean over h of sqrt(sum of p[h]^2 over the k best of its KV head)       ties to the lower unit
//   whole   = mean over h of the norm of p[h]
//   entries = least k >= 1 with 1 - kept(k) / whole <= drop
//
// A mean of norms, as in the original: the root is concave, so the norm of a mean would be another number. A
// unit of several entries counts once all of it is among the k; of a head with fewer than k all is kept.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

/// Sums of squares of one query head's weights, [entries + 1]: of the so many best entries.
using Prefixes = std::vector<double>;

class NormDrop final : public Budget {
 public:
  static constexpr std::string_view kName = "norm_drop";
  static constexpr std::string_view kDoc =
      "Heads of the scope get the same number of entries, the least that keeps the norm of the last query's "
      "attention, but for a given share.";
  static constexpr std::string_view kSource =
      "DBudgetKV, later ReFreeKV, arXiv 2502.16886 (code ReFreeKV @cc68486, last_token_attn)";

  struct Params {
    double drop = 0.05;
  };
  static ParamTable<Params> params() {
    return {{"drop",
             &Params::drop,
             {.doc = "share of the norm that may be missing; 0: every entry with any attention stays",
              .min = 0,
              .max = 1,
              .source = "ReFreeKV's script: 0.05; its abstract: 0.01"}}};
  }

  NormDrop(Params params, const Context&) : params_(params) {}

  BudgetNeeds needs() const override { return {.candidate_sizes = true, .attention = true}; }

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    std::vector<Prefixes> prefixes;
    for (const HeadCandidates& head : heads) {
      add_prefixes(head, prefixes);
    }
    std::ranges::fill(entries, least(prefixes));
  }

 private:
  static void add_prefixes(const HeadCandidates& head, std::vector<Prefixes>& prefixes) {
    KVR_CHECK(head.weights.cols == std::ssize(head.scores), "weights of {} units for {}", head.weights.cols,
              head.scores.size());
    std::vector<std::size_t> best(head.scores.size());
    std::iota(best.begin(), best.end(), std::size_t{0});
    std::erase_if(best, [&](std::size_t unit) { return head.sizes[unit] == 0; });
    std::ranges::stable_sort(best, std::ranges::greater{},
                             [&](std::size_t unit) { return head.scores[unit]; });
    for (std::int64_t query = 0; query < head.weights.rows; ++query) {
      const std::span<const float> weights = head.weights.row(query);
      Prefixes sums = {0.0};
      for (const std::size_t unit : best) {
        const auto weight = static_cast<double>(weights[unit]);
        const double whole = sums.back() + weight * weight;
        sums.resize(sums.size() + static_cast<std::size_t>(head.sizes[unit] - 1), sums.back());
        sums.push_back(whole);
      }
      prefixes.push_back(std::move(sums));
    }
  }

  /// The sums grow with the entries, so the first that is enough is the least.
  std::int64_t least(std::span<const Prefixes> prefixes) const {
    std::size_t most = 1;
    for (const Prefixes& sums : prefixes) {
      most = std::max(most, sums.size());
    }
    const double whole = sum_of_norms(prefixes, most - 1);
    for (std::size_t kept = 1; kept + 1 < most; ++kept) {
      if (whole - sum_of_norms(prefixes, kept) <= params_.drop * whole) {
        return static_cast<std::int64_t>(kept);
      }
    }
    return static_cast<std::int64_t>(most) - 1;
  }

  static double sum_of_norms(std::span<const Prefixes> prefixes, std::size_t kept) {
    double sum = 0.0;
    for (const Prefixes& sums : prefixes) {
      sum += std::sqrt(sums[std::min(kept, sums.size() - 1)]);
    }
    return sum;
  }

  Params params_;
};

const Registration<Budget, NormDrop> registered;

}  // namespace
}  // namespace kvr

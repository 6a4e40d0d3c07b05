// One pool for all heads of the stage's scope, divided by whose units score best:
//
//   pool   = entries * heads
//   count  = of the pool's best units over all heads, the entries in each head's (the last unit is cut)
//   allot  = round((1 - safeguard) * count + safeguard * entries),   halves rounded up
//
// Scores of different heads are compared as they are: a softmax makes them shares of attention.
#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class Pooled final : public Budget {
 public:
  static constexpr std::string_view kName = "pooled";
  static constexpr std::string_view kDoc =
      "Heads share one pool of entries: whose units score best gets more of it, none less than a safeguard.";
  static constexpr std::string_view kSource =
      "AdaKV, arXiv 2407.11550, alg. 1; over several layers it is the share of DynamicKV, EMNLP'25";

  struct Params {
    std::int64_t entries = 512;
    double safeguard = 0.2;
  };
  static ParamTable<Params> params() {
    return {{"entries",
             &Params::entries,
             {.doc = "entries of a head on average, besides the pinned ones",
              .unit = "entries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "AdaKV's README: 512"}},
            {"safeguard",
             &Params::safeguard,
             {.doc = "share of the average that every head gets in any case; 1: all get the same",
              .min = 0,
              .max = 1,
              .source = "kvpress; AdaKV's README has 0.5"}}};
  }

  Pooled(Params params, const Context&) : params_(params) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    const std::vector<std::int64_t> counts = winners(heads);
    std::ranges::transform(counts, entries.begin(), [this](std::int64_t count) {
      return std::llround((1.0 - params_.safeguard) * static_cast<double>(count) +
                          params_.safeguard * static_cast<double>(params_.entries));
    });
  }

 private:
  struct Unit {
    float score;
    std::size_t head;
    std::int32_t size;
  };

  /// How many entries of the pool each head's units win; ties to the earlier head, then to the lower unit.
  std::vector<std::int64_t> winners(std::span<const HeadCandidates> heads) const {
    std::vector<Unit> units;
    for (std::size_t head = 0; head < heads.size(); ++head) {
      for (std::size_t unit = 0; unit < heads[head].scores.size(); ++unit) {
        units.push_back({heads[head].scores[unit], head, heads[head].sizes[unit]});
      }
    }
    std::ranges::stable_sort(units, std::ranges::greater{}, &Unit::score);
    std::vector<std::int64_t> counts(heads.size(), 0);
    std::int64_t left = params_.entries * std::ssize(heads);
    for (const Unit& unit : units) {
      const std::int64_t won = std::min<std::int64_t>(left, unit.size);
      counts[unit.head] += won;
      left -= won;
    }
    return counts;
  }

  Params params_;
};

const Registration<Budget, Pooled> registered;

}  // namespace
}  // namespace kvr

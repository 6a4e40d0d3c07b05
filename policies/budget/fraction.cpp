// A share of what is visible, so the budget grows with the sequence:
//
//   entries = max(minimum, round(share * visible entries)),   halves rounded up
#include <algorithm>
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class Fraction final : public Budget {
 public:
  static constexpr std::string_view kName = "fraction";
  static constexpr std::string_view kDoc = "Every head may select the same share of its visible entries.";
  static constexpr std::string_view kSource =
      "DynaKV, arXiv 2511.07427, sec. 8 (top-k ratio); Loki, NeurIPS'24";

  struct Params {
    double share = 0.1;
    std::int64_t minimum = 1;
  };
  static ParamTable<Params> params() {
    return {{"share",
             &Params::share,
             {.doc = "share of the visible entries, the current one included, rounded to the nearest number",
              .min = 0,
              .max = 1,
              .source = "PQCache, SIGMOD'25: 0.1 and 0.2"}},
            {"minimum",
             &Params::minimum,
             {.doc = "never fewer entries than this",
              .unit = "entries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ours"}}};
  }

  Fraction(Params params, const Context&) : params_(params) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) const override {
    std::ranges::transform(heads, entries.begin(), [this](const HeadCandidates& head) {
      const double share = params_.share * static_cast<double>(head.visible);
      return std::max<std::int64_t>(params_.minimum, std::llround(share));
    });
  }

 private:
  Params params_;
};

const Registration<Budget, Fraction> registered;

}  // namespace
}  // namespace kvr

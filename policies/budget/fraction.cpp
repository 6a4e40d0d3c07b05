// A share of what is visible, so the budget grows with the sequence, or of the prompt, so that it does not:
//
//   of visible:  entries = max(minimum, round(share * visible entries)),   halves rounded up
//   of prompt:   entries = max(minimum, floor(share * prompt entries))
#include <algorithm>
#include <cmath>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class Fraction final : public Budget {
 public:
  static constexpr std::string_view kName = "fraction";
  static constexpr std::string_view kDoc =
      "Every head may select the same share of its visible entries, or of its prompt's.";
  static constexpr std::string_view kSource =
      "DynaKV, arXiv 2511.07427, sec. 8 (top-k ratio); Loki, NeurIPS'24; of the prompt: H2O, NeurIPS'23";

  struct Params {
    double share = 0.1;
    std::string of = "visible";
    std::int64_t minimum = 1;
  };
  static ParamTable<Params> params() {
    return {
        {"share",
         &Params::share,
         {.doc = "share of the entries that `of` names, rounded: of the visible ones to the nearest number, "
                 "of the prompt's down",
          .min = 0,
          .max = 1,
          .source = "PQCache, SIGMOD'25: 0.1 and 0.2"}},
        {"of",
         &Params::of,
         {.doc = "what it is a share of: the visible entries, the current one included, or the prompt",
          .choices = "visible|prompt",
          .source = "prompt: H2O, NeurIPS'23"}},
        {"minimum",
         &Params::minimum,
         {.doc = "never fewer entries than this",
          .unit = "entries",
          .min = 0,
          .max = bounds::kEntries,
          .source = "ours"}}};
  }

  Fraction(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    std::ranges::transform(heads, entries.begin(), [this](const HeadCandidates& head) {
      const bool of_prompt = params_.of == "prompt";
      const double share =
          params_.share * static_cast<double>(of_prompt ? context_.prompt_entries : head.visible);
      return std::max<std::int64_t>(params_.minimum,
                                    of_prompt ? std::llround(std::floor(share)) : std::llround(share));
    });
  }
  bool compares_heads() const override { return false; }

 private:
  Params params_;
  Context context_;
};

const Registration<Budget, Fraction> registered;

}  // namespace
}  // namespace kvr

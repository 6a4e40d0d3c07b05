// Fewer entries in every layer than in the one below, in equal steps:
//
//   least = entries / beta;  most = 2 * entries - least
//   most >= candidates:  most = candidates;  least = 2 * entries - most
//   allot = most - layer * (most - least) / (L - 1)              layer of the model, of L
//
// A head with fewer visible entries than twice `entries` gets `entries`, and so all where it has no more.
#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class Pyramid final : public Budget {
 public:
  static constexpr std::string_view kName = "pyramid";
  static constexpr std::string_view kDoc =
      "Heads of low layers may select more entries than those of high ones, as far as the mean over the "
      "model's layers allows.";
  static constexpr std::string_view kSource = "PyramidKV, arXiv 2406.02069";

  struct Params {
    std::int64_t entries = 120;
    double beta = 20.0;
    std::string arithmetic = "exact";
  };
  static ParamTable<Params> params() {
    return {
        {"entries",
         &Params::entries,
         {.doc = "entries of a head, besides the pinned ones, mean over the model's layers",
          .unit = "entries",
          .min = 0,
          .max = bounds::kEntries,
          .source = "128 of DynamicKV's runs of it, of which 8 are pinned"}},
        {"beta",
         &Params::beta,
         {.doc = "the mean divided by what the highest layer gets; 1: all layers get the same",
          .min = 1,
          .max = 1e6,
          .source = "PyramidKV's code: 20"}},
        {"arithmetic",
         &Params::arithmetic,
         {.doc =
              "exact: layers are rounded to the nearest number, one and its mirror image to twice the "
              "mean. integer: least and step are rounded down, so that the mean grows where steps are small",
          .choices = "exact|integer",
          .source = "exact: kvpress has real numbers, the mirror image is ours; integer: PyramidKV's code"}}};
  }

  Pyramid(Params params, const Context& context) : params_(std::move(params)), context_(context) {}

  void allot(std::span<const HeadCandidates> heads, std::span<std::int64_t> entries) override {
    std::ranges::transform(heads, entries.begin(),
                           [this](const HeadCandidates& head) { return entries_of(head); });
  }
  bool compares_heads() const override { return false; }

 private:
  std::int64_t entries_of(const HeadCandidates& head) const {
    KVR_CHECK(head.layer_number >= 0 && head.layer_number < context_.model_layers, "layer {} of {}",
              head.layer_number, context_.model_layers);
    const bool small = head.candidates <= params_.entries || head.visible < 2 * params_.entries;
    if (small || context_.model_layers == 1) {
      return params_.entries;
    }
    return params_.arithmetic == "integer" ? by_integers(head) : by_real_numbers(head);
  }

  std::int64_t by_integers(const HeadCandidates& head) const {
    const double share = std::floor(static_cast<double>(params_.entries) / params_.beta);
    const std::int64_t most =
        std::min(2 * params_.entries - static_cast<std::int64_t>(share), head.candidates);
    const std::int64_t least = 2 * params_.entries - most;
    return most - head.layer_number * ((most - least) / (context_.model_layers - 1));
  }

  /// A layer of the upper half gets what its mirror image in the lower half leaves of twice the mean.
  std::int64_t by_real_numbers(const HeadCandidates& head) const {
    const auto mean = static_cast<double>(params_.entries);
    const double most = std::min(2.0 * mean - mean / params_.beta, static_cast<double>(head.candidates));
    const double step = 2.0 * (most - mean) / static_cast<double>(context_.model_layers - 1);
    const std::int64_t mirror = context_.model_layers - 1 - head.layer_number;
    const std::int64_t lower = std::min(head.layer_number, mirror);
    const std::int64_t of_lower = std::llround(most - static_cast<double>(lower) * step);
    return head.layer_number <= mirror ? of_lower : 2 * params_.entries - of_lower;
  }

  Params params_;
  Context context_;
};

const Registration<Budget, Pyramid> registered;

}  // namespace
}  // namespace kvr

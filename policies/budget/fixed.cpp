// The same number of entries for every head, at every step.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {
namespace {

class Fixed final : public Budget {
 public:
  static constexpr std::string_view kName = "fixed";
  static constexpr std::string_view kDoc =
      "Every head may select the same number of entries, however long the sequence.";
  static constexpr std::string_view kSource = "Quest, ICML'24; ClusterKV, DAC'25";

  struct Params {
    std::int64_t entries = 1024;
  };
  static ParamTable<Params> params() {
    return {{"entries",
             &Params::entries,
             {.doc = "entries of each head, besides the pinned ones",
              .unit = "entries",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ClusterKV's accuracy runs; Quest uses 512 to 4096"}}};
  }

  Fixed(Params params, const Context&) : params_(params) {}

  void allot(std::span<const HeadCandidates>, std::span<std::int64_t> entries) override {
    std::ranges::fill(entries, params_.entries);
  }
  bool compares_heads() const override { return false; }

 private:
  Params params_;
};

const Registration<Budget, Fixed> registered;

}  // namespace
}  // namespace kvr

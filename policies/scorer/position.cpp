// A unit is worth as much as it is late:
//
//   score(unit) = position of its last member
//
// With a budget of 0 entries nothing is chosen by it: then the pins alone say what is kept.
#include <algorithm>

#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

class Position final : public Scorer {
 public:
  static constexpr std::string_view kName = "position";
  static constexpr std::string_view kDoc =
      "Ranks units by the position of their last entry; later is better.";
  static constexpr std::string_view kSource = "StreamingLLM, ICLR'24 (its window)";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Position(Params, const Context&) {}

  bool asks_queries() const override { return false; }
  void update(std::span<const Change>, const Clustering&, const HeadView&, Work&) override {}

  void score(const MatrixView<float>&, const Clustering& clustering, const HeadView&,
             const MatrixRef<float>& scores, Work&) override {
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        const auto members = clustering.members(unit);
        scores.row(query)[static_cast<std::size_t>(unit)] =
            members.empty() ? 0.0F : static_cast<float>(std::ranges::max(members));
      }
    }
  }

  /// Positions follow from the entries' numbers.
  std::int64_t dram_bytes() const override { return 0; }
};

const Registration<Scorer, Position> registered;

}  // namespace
}  // namespace kvr

// Units that lie evenly over the sequence, however many of the best are taken:
//
//   turn(position) = position / phi mod 1,   phi = (1 + sqrt 5) / 2
//   score(unit)    = 1 - turn(unit's number)
//
// By the three-gap theorem the units below any turn leave gaps of at most three lengths between them, and
// units that are added later keep those before them in their order. A share of a sequence that grows is
// therefore almost the same units from step to step.
#include <algorithm>
#include <cstdint>

#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

/// 2^32 / phi, to the nearest odd number: multiples of it modulo 2^32 are the turns (Knuth, vol. 3,
/// sec. 6.4).
constexpr std::uint32_t kGoldenTurn = 2654435769U;

/// In [0, 1], by the 24 bits that a float holds.
float score_of(UnitId unit) {
  const std::uint32_t turn = static_cast<std::uint32_t>(unit) * kGoldenTurn;
  return 1.0F - static_cast<float>(turn >> 8U) / static_cast<float>(1U << 24U);
}

class Spread final : public Scorer {
 public:
  static constexpr std::string_view kName = "spread";
  static constexpr std::string_view kDoc =
      "Ranks units by their number alone, so that the best, however many, lie evenly over all.";
  static constexpr std::string_view kSource =
      "ours, for a cache that is divided between two memories in proportion to their bandwidths";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Spread(Params, const Context&) {}

  bool asks_queries() const override { return false; }
  void update(std::span<const Change>, const Clustering&, const HeadView&, Work&) override {}

  void score(const MatrixView<float>&, const Clustering&, const HeadView&, const MatrixRef<float>& scores,
             Work&) override {
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        scores.row(query)[static_cast<std::size_t>(unit)] = score_of(unit);
      }
    }
  }

  /// The turns follow from the units' numbers.
  std::int64_t dram_bytes() const override { return 0; }
};

const Registration<Scorer, Spread> registered;

}  // namespace
}  // namespace kvr

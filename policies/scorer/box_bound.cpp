// A unit is worth no more than its box is: the least and the largest value of its keys, channel by channel.
//
//   score(unit) = attention_scale * sum over the channels of max(q * least, q * largest)
//   created, split, removed: the box anew from the members; regrouped: of all units
//   appended:                the box grows by the key
//
// The score is at least every member's logit, and equal to it where the unit has one member.
#include <algorithm>
#include <limits>
#include <vector>

#include "policies/scorer/unit_summaries.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {
namespace {

class BoxBound final : public Scorer {
 public:
  static constexpr std::string_view kName = "box_bound";
  static constexpr std::string_view kDoc =
      "Scores a unit by the largest logit that any key between the unit's least and largest values could "
      "have.";
  static constexpr std::string_view kSource = "Quest, ICML'24, sec. 3";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  BoxBound(Params, const Context& context)
      : context_(context), key_(static_cast<std::size_t>(context.head_dim)) {}

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    units_ = clustering.unit_count();
    least_.resize(static_cast<std::size_t>(units_ * context_.head_dim));
    largest_.resize(least_.size());
    follow_units(
        changes, clustering, [&](UnitId unit) { enclose(unit, clustering, view, work); },
        [&](const Change& change) { widen(change.entry, change.unit, view, work); });
  }

  void score(const MatrixView<float>& queries, const Clustering&, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        scores.row(query)[static_cast<std::size_t>(unit)] =
            static_cast<float>(context_.attention_scale) * bound(queries.row(query), unit);
      }
    }
    const auto elements = static_cast<double>(units_ * context_.head_dim);
    const auto products = static_cast<double>(queries.rows * units_ * context_.query_dim());
    work += {4.0 * products, 2.0 * kBytes * elements};
  }

  /// Both ends of the box in fp16.
  std::int64_t dram_bytes() const override { return units_ * context_.head_dim * 2 * 2; }

 private:
  static constexpr double kBytes = 2.0;  // an element in fp16

  std::span<float> row(std::vector<float>& ends, UnitId unit) const {
    return matrix_ref(ends.data(), units_, context_.head_dim).row(unit);
  }

  float bound(std::span<const float> query, UnitId unit) {
    const auto least = row(least_, unit);
    const auto largest = row(largest_, unit);
    float sum = 0.0F;
    for (std::size_t channel = 0; channel < query.size(); ++channel) {
      sum += std::max(query[channel] * least[channel], query[channel] * largest[channel]);
    }
    return sum;
  }

  void enclose(UnitId unit, const Clustering& clustering, const HeadView& view, Work& work) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    std::ranges::fill(row(least_, unit), kInfinity);
    std::ranges::fill(row(largest_, unit), -kInfinity);
    for (const EntryIndex entry : clustering.members(unit)) {
      widen(entry, unit, view, work);
    }
  }

  void widen(EntryIndex entry, UnitId unit, const HeadView& view, Work& work) {
    to_float(view.keys.row(entry), key_);
    const auto lesser = [](float a, float b) { return std::min(a, b); };
    const auto larger = [](float a, float b) { return std::max(a, b); };
    std::ranges::transform(row(least_, unit), key_, row(least_, unit).begin(), lesser);
    std::ranges::transform(row(largest_, unit), key_, row(largest_, unit).begin(), larger);
    const auto d = static_cast<double>(context_.head_dim);
    work += {2.0 * d, 5.0 * kBytes * d};
  }

  Context context_;
  std::int64_t units_ = 0;
  std::vector<float> least_;    // [units, head_dim]
  std::vector<float> largest_;  // [units, head_dim]
  std::vector<float> key_;      // scratch
};

const Registration<Scorer, BoxBound> registered;

}  // namespace
}  // namespace kvr

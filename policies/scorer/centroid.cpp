// A unit is worth what the mean of its keys is worth:
//
//   score(unit) = attention_scale * q . mean(keys of its members)
//   created, split, removed: mean anew from the members; regrouped: of all units
//   appended:       mean += (key - mean) / members
//
// Entries that are pending in a unit do not count: they are attended to whatever the unit's score.
#include <algorithm>

#include "policies/scorer/unit_summaries.hpp"
#include "sim/base/convert.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"

namespace kvr {
namespace {

class Centroid final : public Scorer {
 public:
  static constexpr std::string_view kName = "centroid";
  static constexpr std::string_view kDoc =
      "Scores a unit by the scaled product of the query and the mean of the unit's keys.";
  static constexpr std::string_view kSource = "ClusterKV, DAC'25; DynaKV, arXiv 2511.07427, sec. 4";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Centroid(Params, const Context& context) : context_(context) {}

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    counts_.resize(static_cast<std::size_t>(clustering.unit_count()), 0);
    means_.resize(counts_.size() * static_cast<std::size_t>(context_.head_dim), 0.0F);
    follow_units(
        changes, clustering, [&](UnitId unit) { compute(unit, clustering, view, work); },
        [&](const Change& change) { append(change, clustering, view, work); });
  }

  void score(const MatrixView<float>& queries, const Clustering&, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    kernels::dot_rows(queries, matrix_view<float>(means_.data(), units(), context_.head_dim), scores);
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      for (float& score : scores.row(query)) {
        score *= static_cast<float>(context_.attention_scale);
      }
    }
    const auto elements = static_cast<double>(units() * context_.head_dim);
    const auto products = static_cast<double>(queries.rows * units() * context_.query_dim());
    work += {2.0 * products, kBytes * elements};
  }

  /// The means in fp16 and a 32-bit count of members for each unit.
  std::int64_t dram_bytes() const override { return units() * (context_.head_dim * 2 + 4); }

 private:
  static constexpr double kBytes = 2.0;  // an element of a key or a mean: fp16 on the phone, float32 here

  std::int64_t units() const { return std::ssize(counts_); }
  std::span<float> mean(UnitId unit) {
    return matrix_ref(means_.data(), units(), context_.head_dim).row(unit);
  }

  void compute(UnitId unit, const Clustering& clustering, const HeadView& view, Work& work) {
    std::ranges::fill(mean(unit), 0.0F);
    counts_[static_cast<std::size_t>(unit)] = 0;
    for (const EntryIndex entry : clustering.members(unit)) {
      fold_in(entry, unit, view, work);
    }
  }

  void append(const Change& change, const Clustering& clustering, const HeadView& view, Work& work) {
    // `compute` may have counted this entry already.
    if (counts_[static_cast<std::size_t>(change.unit)] < std::ssize(clustering.members(change.unit))) {
      fold_in(change.entry, change.unit, view, work);
    }
  }

  /// mean += (key - mean) / count, which reads the key and the mean and writes the mean.
  void fold_in(EntryIndex entry, UnitId unit, const HeadView& view, Work& work) {
    key_.resize(static_cast<std::size_t>(context_.head_dim));
    to_float(view.keys.row(entry), key_);
    const auto count = static_cast<float>(++counts_[static_cast<std::size_t>(unit)]);
    std::ranges::transform(mean(unit), key_, mean(unit).begin(),
                           [count](float m, float k) { return m + (k - m) / count; });
    const auto d = static_cast<double>(context_.head_dim);
    work += {3.0 * d, 3.0 * kBytes * d};
  }

  Context context_;
  std::vector<float> means_;  // [units, head_dim]
  std::vector<std::int64_t> counts_;
  std::vector<float> key_;  // scratch
};

const Registration<Scorer, Centroid> registered;

}  // namespace
}  // namespace kvr

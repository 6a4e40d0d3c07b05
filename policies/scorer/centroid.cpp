// A unit is worth what the mean of its keys is worth:
//
//   score(unit) = attention_scale * q . mean(keys of its members)
//   created, split, removed: mean anew from the members; regrouped: of all units
//   appended:       mean += (key - mean) / members
//
// Entries that are pending in a unit do not count: they are attended to whatever the unit's score.
//
// Where a stage estimates, the mean of the values is kept beside that of the keys, and
//
//   weight(unit) = entries that it stands for * exp(score(unit)),   its value: mean(values of its members)
//
// which is never more than the entries' own weight if they are all of the unit (Jensen), and the same where
// their keys are.
#include <algorithm>
#include <vector>

#include "policies/scorer/running_means.hpp"
#include "policies/scorer/unit_summaries.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/softmax.hpp"

namespace kvr {
namespace {

class Centroid final : public Scorer {
 public:
  static constexpr std::string_view kName = "centroid";
  static constexpr std::string_view kDoc =
      "Scores a unit by the scaled product of the query and the mean of the unit's keys; estimates by that "
      "and the mean of its values.";
  static constexpr std::string_view kSource =
      "ClusterKV, DAC'25; DynaKV, arXiv 2511.07427, sec. 4; to estimate: RetroInfer, arXiv 2505.02922";

  using Params = NoParams;
  static ParamTable<Params> params() { return {}; }

  Centroid(Params, const Context& context)
      : context_(context), keys_(context.head_dim), values_(context.head_dim) {}

  bool sketches() const override { return true; }

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    counts_.resize(static_cast<std::size_t>(clustering.unit_count()), 0);
    keys_.resize(units());
    values_.resize(context_.estimates ? units() : 0);
    follow_units(
        changes, clustering, [&](UnitId unit) { compute(unit, clustering, view, work); },
        [&](const Change& change) { append(change, clustering, view, work); });
  }

  void score(const MatrixView<float>& queries, const Clustering&, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    kernels::dot_rows(queries, keys_.view(), scores);
    scale(scores);
    const auto elements = static_cast<double>(units() * context_.head_dim);
    const auto products = static_cast<double>(queries.rows * units() * context_.query_dim());
    work += {2.0 * products, kBytes * elements};
  }

  /// The products are those of `score`; the values are read, and added up for each query.
  void estimate(const MatrixView<float>& queries, std::span<const SketchedUnit> units,
                const MatrixRef<float>& out, std::span<PartialSoftmax> normalisers, Work& work) override {
    std::vector<float> means;
    for (const SketchedUnit& one : units) {
      const auto mean = keys_.of(one.unit);
      means.insert(means.end(), mean.begin(), mean.end());
    }
    std::vector<float> logits(static_cast<std::size_t>(queries.rows) * units.size());
    const auto of_query = matrix_ref(logits.data(), queries.rows, std::ssize(units));
    kernels::dot_rows(queries, matrix_view<float>(means.data(), std::ssize(units), context_.head_dim),
                      of_query);
    scale(of_query);
    for (std::int64_t query = 0; query < queries.rows; ++query) {
      normalisers[static_cast<std::size_t>(query)] = add_up(of_query.row(query), units, out.row(query));
    }
    const auto rows = static_cast<double>(std::ssize(units));
    work += {2.0 * static_cast<double>(queries.rows * context_.query_dim()) * rows,
             (kBytes * static_cast<double>(context_.head_dim) + 4.0) * rows};
  }

  /// The means in fp16 and a 32-bit count of members for each unit.
  std::int64_t dram_bytes() const override {
    const std::int64_t means = context_.estimates ? 2 : 1;
    return units() * (means * context_.head_dim * 2 + 4);
  }

 private:
  static constexpr double kBytes = 2.0;  // an element of a key or a mean: fp16 on the phone, float32 here

  std::int64_t units() const { return std::ssize(counts_); }

  void scale(const MatrixRef<float>& logits) const {
    for (std::int64_t query = 0; query < logits.rows; ++query) {
      for (float& logit : logits.row(query)) {
        logit *= static_cast<float>(context_.attention_scale);
      }
    }
  }

  PartialSoftmax add_up(std::span<const float> logits, std::span<const SketchedUnit> units,
                        std::span<float> out) const {
    const float peak = *std::ranges::max_element(logits);
    std::vector<float> weights(logits.size());
    kernels::exp_weights(logits, peak, weights);
    double sum = 0.0;
    std::vector<double> value(out.size(), 0.0);
    for (std::size_t i = 0; i < units.size(); ++i) {
      const double weight = static_cast<double>(units[i].entries) * static_cast<double>(weights[i]);
      sum += weight;
      std::ranges::transform(value, values_.of(units[i].unit), value.begin(), [weight](double v, float mean) {
        return v + weight * static_cast<double>(mean);
      });
    }
    std::ranges::transform(value, out.begin(), [sum](double v) { return static_cast<float>(v / sum); });
    return {peak, sum};
  }

  void compute(UnitId unit, const Clustering& clustering, const HeadView& view, Work& work) {
    keys_.clear(unit);
    if (context_.estimates) {
      values_.clear(unit);
    }
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

  void fold_in(EntryIndex entry, UnitId unit, const HeadView& view, Work& work) {
    const std::int64_t count = ++counts_[static_cast<std::size_t>(unit)];
    keys_.add(unit, view.keys.row(entry), count, work);
    if (context_.estimates) {
      values_.add(unit, view.values.row(entry), count, work);
    }
  }

  Context context_;
  RunningMeans keys_;
  RunningMeans values_;  ///< of no units where nothing is estimated
  std::vector<std::int64_t> counts_;
};

const Registration<Scorer, Centroid> registered;

}  // namespace
}  // namespace kvr

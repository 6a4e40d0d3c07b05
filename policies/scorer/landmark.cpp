// Chunks by the mean of their keys, but for those that a mean does not stand for:
//
//   landmark(unit) = mean(keys of its members)
//   outliers       = when the prompt has been read, of its units with more than one member so many, whose
//                    worst member has the lowest cosine to the landmark; ties to the lower unit
//   score(unit)    = log of its share in a softmax over landmarks of attention_scale * q . landmark
//                    of an outlier: kAlways
//
// So outliers are chosen in every step, before all others and as part of the budget, and stay where what is
// used stays. They have no part in the softmax; logs are at most 0, and a softmax over the scores, which a
// stage may ask for, takes the same share from the landmarks of every query head. Landmarks of units that
// come later are means too.
#include <algorithm>
#include <cmath>
#include <vector>

#include "policies/scorer/running_means.hpp"
#include "policies/scorer/unit_summaries.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/scorer.hpp"
#include "sim/kernels/dot.hpp"
#include "sim/kernels/softmax.hpp"

namespace kvr {
namespace {

class Landmark final : public Scorer {
 public:
  static constexpr std::string_view kName = "landmark";
  static constexpr std::string_view kDoc =
      "Scores a unit by the mean of its keys; those of the prompt whose mean is no good sign of a member are "
      "always chosen first.";
  static constexpr std::string_view kSource = "ShadowKV, ICML'25, sec. 4";

  struct Params {
    std::int64_t outliers = 48;
  };
  static ParamTable<Params> params() {
    return {{"outliers",
             &Params::outliers,
             {.doc = "units of the prompt that are always chosen; give the budget as many units more",
              .unit = "units",
              .min = 0,
              .max = bounds::kEntries,
              .source = "ShadowKV: 48"}}};
  }

  Landmark(Params params, const Context& context)
      : params_(params), context_(context), means_(context.head_dim) {}

  void update(std::span<const Change> changes, const Clustering& clustering, const HeadView& view,
              Work& work) override {
    counts_.resize(static_cast<std::size_t>(clustering.unit_count()), 0);
    means_.resize(std::ssize(counts_));
    follow_units(
        changes, clustering, [&](UnitId unit) { compute(unit, clustering, view, work); },
        [&](const Change& change) { append(change, clustering, view, work); });
    if (!found_ && !counts_.empty()) {
      found_ = true;
      find_outliers(clustering, view, work);
    }
  }

  void score(const MatrixView<float>& queries, const Clustering&, const HeadView&,
             const MatrixRef<float>& scores, Work& work) override {
    kernels::dot_rows(queries, means_.view(), scores);
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      normalise(scores.row(query));
    }
    const auto landmarks = static_cast<double>(std::ssize(counts_) - std::ssize(outliers_));
    const double products = static_cast<double>(queries.rows) * landmarks;
    work += {(2.0 * static_cast<double>(context_.query_dim()) + 2.0) * products,
             kBytes * landmarks * static_cast<double>(context_.head_dim)};
  }

  /// Landmarks in fp16; of an outlier only that it is one.
  std::int64_t dram_bytes() const override {
    return (std::ssize(counts_) - std::ssize(outliers_)) * context_.head_dim * 2 + 4 * std::ssize(outliers_);
  }

 private:
  static constexpr double kBytes = 2.0;   // an element in fp16
  static constexpr float kAlways = 1.0F;  // above every logarithm of a share

  bool is_outlier(std::size_t unit) const { return unit < is_outlier_.size() && is_outlier_[unit]; }

  void normalise(std::span<float> scores) const {
    std::vector<float> landmarks;
    for (std::size_t unit = 0; unit < scores.size(); ++unit) {
      scores[unit] *= static_cast<float>(context_.attention_scale);
      if (!is_outlier(unit) && counts_[unit] > 0) {
        landmarks.push_back(scores[unit]);
      }
    }
    const float all = landmarks.empty() ? 0.0F : static_cast<float>(kernels::log_sum_exp(landmarks));
    for (std::size_t unit = 0; unit < scores.size(); ++unit) {
      scores[unit] = is_outlier(unit) ? kAlways : scores[unit] - all;
    }
  }

  void compute(UnitId unit, const Clustering& clustering, const HeadView& view, Work& work) {
    means_.clear(unit);
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
    means_.add(unit, view.keys.row(entry), ++counts_[static_cast<std::size_t>(unit)], work);
  }

  void find_outliers(const Clustering& clustering, const HeadView& view, Work& work) {
    std::vector<float> worst(counts_.size());
    std::vector<UnitId> units;
    for (UnitId unit = 0; unit < std::ssize(counts_); ++unit) {
      if (clustering.members(unit).size() > 1) {
        worst[static_cast<std::size_t>(unit)] = worst_cosine(unit, clustering.members(unit), view, work);
        units.push_back(unit);
      }
    }
    std::ranges::stable_sort(units, std::ranges::less{},
                             [&](UnitId unit) { return worst[static_cast<std::size_t>(unit)]; });
    units.resize(std::min(units.size(), static_cast<std::size_t>(params_.outliers)));
    outliers_ = std::move(units);
    is_outlier_.assign(counts_.size(), false);
    for (const UnitId unit : outliers_) {
      is_outlier_[static_cast<std::size_t>(unit)] = true;
    }
  }

  float worst_cosine(UnitId unit, std::span<const EntryIndex> members, const HeadView& view,
                     Work& work) const {
    const std::span<const float> mean = means_.of(unit);
    const float length = std::sqrt(kernels::dot(mean, mean));
    std::vector<float> key(mean.size());
    float worst = 1.0F;
    for (const EntryIndex entry : members) {
      to_float(view.keys.row(entry), key);
      const float lengths = length * std::sqrt(kernels::dot(key, key));
      worst = std::min(worst, lengths > 0.0F ? kernels::dot(mean, key) / lengths : 1.0F);
    }
    const auto d = static_cast<double>(context_.head_dim);
    const auto n = static_cast<double>(members.size());
    work += {4.0 * n * d, kBytes * n * d};
    return worst;
  }

  Params params_;
  Context context_;
  RunningMeans means_;
  std::vector<std::int64_t> counts_;  // [units], members
  bool found_ = false;
  std::vector<UnitId> outliers_;
  std::vector<bool> is_outlier_;  // [units of the prompt]
};

const Registration<Scorer, Landmark> registered;

}  // namespace
}  // namespace kvr

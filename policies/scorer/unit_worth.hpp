#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/params.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/kernels/softmax.hpp"

namespace kvr {

/// How the logits of a unit's members become the score of the unit, for scorers that have one for each entry.
class UnitWorth {
 public:
  /// `reduce`: "mass" or "max".
  explicit UnitWorth(const std::string& reduce) : max_(reduce == "max") {}

  static constexpr ParamDoc doc() {
    return {.doc = "a unit's score: the log of its summed weights, or its largest logit",
            .choices = "mass|max",
            .source = "ours"};
  }

  /// `dots` [entries]: products that become logits when multiplied by `scale`.
  float operator()(std::span<const float> dots, float scale, std::span<const EntryIndex> members) {
    KVR_CHECK(!members.empty(), "a unit without members has no logit");
    logits_.clear();
    for (const EntryIndex entry : members) {
      logits_.push_back(scale * dots[static_cast<std::size_t>(entry)]);
    }
    return max_ ? *std::ranges::max_element(logits_) : static_cast<float>(kernels::log_sum_exp(logits_));
  }

  /// Scores every unit that has members, [queries, units]; `dots` [1 or queries, entries].
  void score(const MatrixView<float>& dots, float scale, const Clustering& clustering,
             const MatrixRef<float>& scores) {
    for (std::int64_t query = 0; query < scores.rows; ++query) {
      for (UnitId unit = 0; unit < scores.cols; ++unit) {
        if (!clustering.members(unit).empty()) {
          scores.row(query)[static_cast<std::size_t>(unit)] =
              (*this)(dots.row(dots.rows == 1 ? 0 : query), scale, clustering.members(unit));
        }
      }
    }
  }

 private:
  bool max_;
  std::vector<float> logits_;  // scratch
};

}  // namespace kvr

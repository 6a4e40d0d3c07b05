#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

constexpr std::int64_t kQuarters = 4;
/// Of `steps` steps, which one `step` is in: floor(4 step / steps).
constexpr std::int64_t quarter_of(std::int64_t step, std::int64_t steps) {
  return kQuarters * step / steps;
}

/// How far keys lie from the centroids that the prompt left: the mean squared distance from the centroid of
/// the unit that they joined, of the prompt's keys and of those of each quarter of the steps. Step s of n is
/// in quarter floor(4 s / n).
class StaticDrift {
 public:
  /// `clustering` holds the entries of `prompt` and no other; `steps` will follow.
  StaticDrift(const Clustering& clustering, const HeadView& prompt, std::int64_t steps);

  /// One call for each step, in order, with what it changed: its entry joined a unit, and nothing else.
  void follow(std::span<const Change> changes, const HeadView& view);

  double prompt_variance() const { return prompt_.mean(); }
  /// NaN without keys.
  double quarter_variance(std::size_t quarter) const { return quarters_[quarter].mean(); }

 private:
  struct Distances {
    double sum = 0.0;
    std::int64_t keys = 0;

    double mean() const;
  };

  std::span<const float> centroid(UnitId unit) const;
  /// The distance of the key of `entry` from the centroid of `unit`.
  void add(EntryIndex entry, UnitId unit, const HeadView& view, Distances& distances);

  std::int64_t steps_;
  std::int64_t step_ = 0;
  std::vector<float> centroids_;  ///< [units, head_dim]
  std::vector<float> key_;        ///< [head_dim], scratch
  Distances prompt_;
  std::array<Distances, kQuarters> quarters_;
};

}  // namespace kvr

#pragma once

#include <set>
#include <span>
#include <vector>

#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// How far the keys of one head's units lie apart: by unit, the mean squared distance of its members' keys to
/// their mean; pending entries do not count. `follow` computes it anew for the units that a list touched.
class UnitVariance {
 public:
  void follow(std::span<const Change> changes, const Clustering& clustering, const HeadView& view);
  /// Over the units, large or small; 0 without units.
  double mean() const;

 private:
  static double variance(std::span<const EntryIndex> members, const HeadView& view);

  std::vector<double> variances_;  ///< [units]
  std::set<UnitId> emptied_;       ///< without members any more
};

}  // namespace kvr

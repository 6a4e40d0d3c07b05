#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// Scores every unit, [group, units], by the sum of what its members are worth; `worth` [group][entries],
/// beyond its end 0.
inline void score_by_sums(std::span<const std::vector<float>> worth, const Clustering& clustering,
                          const MatrixRef<float>& scores) {
  for (std::int64_t query = 0; query < scores.rows; ++query) {
    const std::vector<float>& of_query = worth[static_cast<std::size_t>(query)];
    for (UnitId unit = 0; unit < scores.cols; ++unit) {
      float sum = 0.0F;
      for (const EntryIndex entry : clustering.members(unit)) {
        const auto at = static_cast<std::size_t>(entry);
        sum += at < of_query.size() ? of_query[at] : 0.0F;
      }
      scores.row(query)[static_cast<std::size_t>(unit)] = sum;
    }
  }
}

}  // namespace kvr

#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/results/point_data.hpp"

namespace kvr {

/// The caches of a tier, as far as their replacement mattered.
struct CacheUse {
  std::string tier;
  std::string replacement;
  bool keeps = false;    ///< anything at all
  bool gave_up = false;  ///< because it was full
};

/// Figures of a point that mean nothing, a short sentence each: what they measure never happened, could not
/// happen, or costs nothing by the parameters. `caches`: of the first tier, then of those below that have
/// some.
std::vector<std::string> figure_notes(const RunConfig& config, const PointData& data,
                                      std::span<const CacheUse> caches);

}  // namespace kvr

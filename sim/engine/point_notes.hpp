#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/figure_notes.hpp"
#include "sim/engine/heads/stages/stages.hpp"
#include "sim/engine/timing/machine.hpp"
#include "sim/results/point_data.hpp"

namespace kvr {

/// What a reader of a point's results must know: what has no effect, what is assumed, what has no value.
/// `caches`: as for `figure_notes`; `co_retrieval`: how it was counted, or nothing.
std::vector<std::string> point_notes(const RunConfig& config, const Machine& machine, const Stages& stages,
                                     const PointData& data, std::span<const CacheUse> caches,
                                     const std::string& co_retrieval);

}  // namespace kvr

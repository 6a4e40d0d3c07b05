#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/cli/run/run_options.hpp"
#include "sim/config/resolve.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/sweep/trace_files.hpp"

namespace kvr::cli {

/// What a run does, checked.
struct Order {
  std::vector<RunConfig> points;
  Shard shard;
  std::optional<Timeline> timeline;
};

/// Throws everything that is wrong with options, files, configuration, traces and points, before hours go
/// into the first point.
Order read_order(const RunOptions& options, sweep::TraceFiles& traces);

}  // namespace kvr::cli

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/engine/statistics/trace_statistics.hpp"
#include "traces/header.hpp"

namespace kvr::cli {

/// What `kvreplay trace stats` found; layers and heads are numbered as in the model.
struct TraceStats {
  struct Head {
    std::int64_t layer;
    std::int64_t head;
    HeadStatistics found;
  };

  trace::Header header;
  StatisticsPlan plan;
  std::vector<Head> heads;
};

/// traces/STATS.md says how to read both.
std::string stats_tables(const TraceStats& stats);
std::string stats_json(const TraceStats& stats);

}  // namespace kvr::cli

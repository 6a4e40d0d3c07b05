#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/statistics/attention_mass.hpp"
#include "sim/engine/statistics/query_likeness.hpp"
#include "sim/engine/statistics/static_drift.hpp"
#include "sim/engine/walk/trace_demands.hpp"
#include "sim/engine/walk/workers.hpp"
#include "traces/reader.hpp"

namespace kvr {

/// Units of entries and what ranks them.
struct RankedUnits {
  std::string name;
  ComponentChoice clustering;
  ComponentChoice scorer;
  /// Units are built from the prompt, and where this says so anew from all visible entries before the first
  /// step of each later quarter.
  bool rebuilt = false;
};

/// What is found out about a trace, and by which policies.
struct StatisticsPlan {
  std::filesystem::path trace_path;
  StepRange steps;
  std::vector<std::int64_t>
      judged;                      ///< positions among the steps, ascending: attention is looked at in these
  std::vector<RankedUnits> units;  ///< held against the truth, each by itself
  std::size_t static_units = 0;  ///< which of `units` keep their centroids after the prompt: those that drift
  ComponentChoice budget;
  ComponentChoice codec;
  std::int64_t sinks = 0;
  std::int64_t recent = 0;
  std::int64_t seed = 0;
};

/// What a policy can hope for in one KV head of one layer.
struct HeadStatistics {
  /// Over the judged steps and the query heads of the group, as HeadQuality has them.
  struct Units {
    double recall = 0.0;
    double mass = 0.0;
  };

  std::array<AttentionMass::Entries, AttentionMass::kShares.size()> entries_for;
  double sink_mass = 0.0;
  std::array<double, AttentionMass::kWindows.size()> window_mass;
  std::array<double, QueryLikeness::kLags.size()> query_cosine;  ///< NaN where the steps are too few
  std::vector<Units> units;                                      ///< as in the plan
  double prompt_variance = 0.0;
  /// Variance of each quarter over that of the prompt; NaN where there is no such number.
  std::array<double, kQuarters> drift;
};

/// Of the KV heads of one captured layer, in order; memory grows with the entries of that layer. `stepped` is
/// called after every step.
std::vector<HeadStatistics> layer_statistics(const trace::Reader& trace, std::int64_t layer,
                                             const StatisticsPlan& plan, Workers& workers,
                                             const std::function<void()>& stepped);

/// `count` of the steps, evenly spread: of the i-th of as many parts of equal length the step in its middle.
/// `count` is at most the number of steps.
std::vector<std::int64_t> spread_positions(const StepRange& steps, std::int64_t count);

}  // namespace kvr

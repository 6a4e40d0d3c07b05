#pragma once

#include <span>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/heads/stages/stages.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/memory/tiers/tier_levels.hpp"
#include "sim/engine/recording/policy_figures.hpp"
#include "sim/engine/timing/machine.hpp"

namespace kvr {

/// All of a point that may have figures of its own; everything outlives `figures`.
struct ReportingParts {
  std::span<const HeadPolicies> heads;
  const Stages& stages;
  std::span<const LayerMemory> memories;
  const CacheSet& caches;
  const TierLevels& tiers;
  const Machine& machine;
};

void add_policies(const RunConfig& config, const ReportingParts& parts, PolicyFigures& figures);

}  // namespace kvr

#include "sim/engine/memory/tiers/tier_refusals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/memory/cache_set.hpp"

namespace kvr {
namespace {

/// What a schedule swaps to flash would have to pass every tier between.
void refuse_virtual_memory(const RunConfig& config, const MemoryGeometry& geometry) {
  const VirtualMemory& memory = geometry.virtual_memory;
  if (!config.system.tiers.empty() && (memory.representatives || memory.cache != CacheSwap::none)) {
    throw InputError(fmt::format(
        "{}: '{}' keeps {} on flash between layers, and '{}' lies between; allowed: a schedule "
        "that keeps them in the first tier",
        config.place("system.schedule"), config.system.schedule.type,
        memory.representatives ? "representatives" : "cached entries", config.system.tiers.front().name));
  }
}

/// What a level is asked for depends on what the tiers above it hold.
void refuse_oracles(const RunConfig& config) {
  std::vector<std::string> problems;
  for (const TierConfig& tier : config.system.tiers) {
    if (tier.capacity_bytes > 0 && is_oracle(tier.replacement)) {
      problems.push_back(
          fmt::format("{}: '{}' needs accesses that do not depend on a cache, and tier '{}' is asked for "
                      "what the one above "
                      "it lacks; allowed is another replacement",
                      config.place(fmt::format("system.tiers.{}.replacement", tier.place)),
                      tier.replacement.type, tier.name));
    }
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

}  // namespace

void refuse_tiers(const RunConfig& config, const MemoryGeometry& geometry) {
  ProblemList problems;
  problems.collect([&] { refuse_virtual_memory(config, geometry); });
  problems.collect([&] { refuse_oracles(config); });
  problems.throw_if_any();
}

}  // namespace kvr

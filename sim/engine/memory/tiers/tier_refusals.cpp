#include "sim/engine/memory/tiers/tier_refusals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/memory/cache_set.hpp"

namespace kvr {
namespace {

/// What is on flash while other layers compute would have to pass every tier between.
std::vector<std::string> virtual_memory_problems(const RunConfig& config) {
  std::vector<std::string> problems;
  const auto refuse = [&](std::string_view key, std::string_view what, std::string_view allowed) {
    problems.push_back(
        fmt::format("{}: {} would be on flash between layers, and '{}' lies between; allowed: {}",
                    config.place(key), what, config.system.tiers.front().name, allowed));
  };
  if (config.system.tiers.empty()) {
    return problems;
  }
  if (config.system.virtual_memory.representatives) {
    refuse("system.representatives", "representatives", "the first tier");
  }
  if (config.system.virtual_memory.cache != CacheSwap::none) {
    refuse("system.cache.holds", "cached entries", "all");
  }
  return problems;
}

/// What a level is asked for depends on what the tiers above it hold.
std::vector<std::string> oracle_problems(const RunConfig& config) {
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
  return problems;
}

/// What is placed in the first tier stays there until it is placed anew, or has no room.
std::vector<std::string> placing_problems(const RunConfig& config) {
  const SystemConfig& system = config.system;
  std::vector<std::string> problems;
  if (std::ranges::find(system.stages, Effect::place, &StageConfig::effect) == system.stages.end()) {
    return problems;
  }
  if (!keeps_some(system.replacement) || is_oracle(system.replacement)) {
    problems.push_back(fmt::format(
        "{}: '{}' keeps nothing that a stage places, or needs accesses that depend on what it places; "
        "allowed: another replacement",
        config.place("system.replacement"), system.replacement.type));
  }
  if (system.virtual_memory.cache != CacheSwap::none) {
    problems.push_back(
        fmt::format("{}: a stage places entries while their layer's are on flash; allowed: all",
                    config.place("system.cache.holds")));
  }
  return problems;
}

}  // namespace

void refuse_tiers(const RunConfig& config) {
  std::vector<std::string> problems = virtual_memory_problems(config);
  std::ranges::copy(oracle_problems(config), std::back_inserter(problems));
  std::ranges::copy(placing_problems(config), std::back_inserter(problems));
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

}  // namespace kvr

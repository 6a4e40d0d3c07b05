#include "sim/engine/memory/dram_budget.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// In whole KiB, rounded up: what can be given as it stands.
std::string kib(double bytes) {
  return fmt::format("{:.0f}KiB", std::ceil(bytes / 1024.0));
}

}  // namespace

DramBudget::DramBudget(const RunConfig& config, const MemoryGeometry& geometry, const CacheSet& caches)
    : config_(config),
      limit_bytes_(static_cast<double>(config.system.dram_bytes)),
      least_cache_bytes_(limits() ? caches.least_dram_bytes() : 0.0) {
  if (limits() && swaps_layers(geometry) && config.system.cache_scope == "model") {
    throw InputError(fmt::format(
        "{}: 'model' lets one layer take the room of all, but one layer's cache is in DRAM at a time ({}), "
        "so that no share of system.dram ({}) can be held; allowed: layer, head",
        config.place("system.cache.scope"), config.place("system.cache.holds"), config.place("system.dram")));
  }
}

bool DramBudget::reserve(const DramUse& use) {
  const bool grows = limits() && use.rest() > largest_rest_.rest();
  if (grows) {
    largest_rest_ = use;
  }
  return grows;
}

double DramBudget::room_bytes() const {
  return std::max(limit_bytes_ - largest_rest_.rest(), least_cache_bytes_);
}

void DramBudget::check() const {
  if (!exceeded()) {
    return;
  }
  const DramUse& use = largest_rest_;
  throw InputError(fmt::format(
      "{}: {} are less than what must be in DRAM for point '{}': representatives {}, metadata {}, pinned "
      "entries {}, entries that wait to be written or have no flash below them {}, entries that a layer "
      "reads "
      "{}, and the smallest caches {}; give at least {}",
      config_.place("system.dram"), kib(limit_bytes_), config_.point, kib(use.representatives_bytes),
      kib(use.metadata_bytes), kib(use.pinned_bytes), kib(use.write_buffer_bytes + use.kept_cache_bytes),
      kib(use.working_buffer_bytes), kib(least_cache_bytes_), kib(least_bytes())));
}

}  // namespace kvr

#pragma once

#include "sim/config/resolve.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/memory_geometry.hpp"
#include "sim/engine/memory/memory_use.hpp"

namespace kvr {

/// `system.dram`: what everything together may take. The caches get what the rest leaves.
///
/// What the rest once took stays reserved for it, as a buffer that was allocated does: the room of the caches
/// only shrinks, and the largest step of a run decides what the run needs.
class DramBudget {
 public:
  /// Throws InputError where caches are swapped layer by layer but shared by all layers.
  DramBudget(const RunConfig& config, const MemoryGeometry& geometry, const CacheSet& caches);

  bool limits() const { return limit_bytes_ > 0.0; }
  /// After the prompt and after every step. Whether the caches must make room.
  bool reserve(const DramUse& use);
  /// What is left for the caches, at least the smallest ones.
  double room_bytes() const;
  /// The rest and the smallest caches do not fit: the replay goes on for the sake of `check` alone.
  bool exceeded() const { return limits() && least_bytes() > limit_bytes_; }
  /// At the end of a replay: throws InputError, with the least that would do, where the budget was exceeded.
  void check() const;

 private:
  double least_bytes() const { return largest_rest_.rest() + least_cache_bytes_; }

  const RunConfig& config_;
  double limit_bytes_;
  double least_cache_bytes_;  ///< what the smallest caches take
  DramUse largest_rest_;      ///< of all steps so far
};

}  // namespace kvr

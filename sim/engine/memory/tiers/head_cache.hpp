#pragma once

#include <cstdint>

#include "sim/engine/memory/residency.hpp"
#include "sim/interfaces/clustering.hpp"

namespace kvr {

/// What one tier holds of one head, beside the cache that the head shares there: follows what happens to the
/// head's units, and tells the cache's policy what that makes of their sizes.
class HeadCache {
 public:
  HeadCache(HeadId head, const Clustering& clustering, HeadResidency& residency, Cache& cache)
      : head_(head), clustering_(clustering), residency_(residency), cache_(cache) {}

  CacheObject object(UnitId unit) const {
    return {static_cast<std::int32_t>(head_.layer), static_cast<std::int32_t>(head_.head), unit};
  }
  /// A unit that was created or split, or units that were regrouped: what is here stays here, and entries
  /// that were pending stay where their unit is.
  void restructure(const Change& change);
  /// `entry` has left `unit`, or leaves this tier.
  void remove(UnitId unit, EntryIndex entry);

 private:
  void split(const Change& change);
  void regroup();
  /// Members of `unit` that were pending are no longer; they come to be here where `here`.
  void take_in_pending(UnitId unit, bool here);

  HeadId head_;
  const Clustering& clustering_;
  HeadResidency& residency_;
  Cache& cache_;
};

}  // namespace kvr

#pragma once

#include <span>

#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/memory/memory_geometry.hpp"

namespace kvr {

/// DRAM of the whole model, by purpose, for what the captured layers hold at the end of a step.
struct DramUse {
  double cache_bytes = 0.0;       ///< with `kept_cache_bytes`
  double kept_cache_bytes = 0.0;  ///< of the cache, what evicting from it does not give back: entries that
                                  ///< wait to be written, or there is no flash
  double working_buffer_bytes = 0.0;
  double write_buffer_bytes = 0.0;  ///< with what the tail takes more than it will when it is stored
  double pinned_bytes = 0.0;
  double representatives_bytes = 0.0;
  double metadata_bytes = 0.0;

  /// All that evicting does not give back.
  double rest() const {
    return kept_cache_bytes + working_buffer_bytes + write_buffer_bytes + pinned_bytes +
           representatives_bytes + metadata_bytes;
  }
};

/// Whether DRAM holds the caches of two neighbouring layers at a time, one in use and one coming in.
bool swaps_layers(const MemoryGeometry& geometry);

/// Where the schedule's virtual memory covers it, only what is in DRAM at a time counts: of the cache two
/// neighbouring layers, and where it is swapped in place what the layout has not written of the others; of
/// the representatives one layer. `heads` [layers * heads of a layer]. The working buffer holds what a
/// layer reads, `buffered_bytes`.
DramUse dram_use_of(std::span<const LayerMemory> layers, std::span<const HeadPolicies> heads,
                    std::int64_t buffered_bytes, const MemoryGeometry& geometry);

}  // namespace kvr

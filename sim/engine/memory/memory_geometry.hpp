#pragma once

#include <cstdint>

#include "sim/config/tier_config.hpp"
#include "sim/engine/walk/extrapolation.hpp"

namespace kvr {

/// What the memory of a point knows of the model that is timed and of its device.
struct MemoryGeometry {
  Extrapolation model;
  VirtualMemory virtual_memory;
  std::int64_t entry_bytes = 0;  ///< K and V of one entry, as the codecs store them, the largest
  std::int64_t block_bytes = 0;
  std::int64_t raw_entry_bytes = 0;  ///< of one that a codec has not stored yet
};

}  // namespace kvr

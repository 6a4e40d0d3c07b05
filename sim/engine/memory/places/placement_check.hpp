#pragma once

#include <cstdint>
#include <span>

#include "sim/engine/memory/places/batch_layout.hpp"
#include "sim/engine/memory/records/head_records.hpp"

namespace kvr {

/// A layer as its layout sees it.
struct PlacedLayer {
  std::int64_t layer;
  std::span<const HeadRecords> heads;
  const BatchLayout& layout;
};

/// Throws InternalError unless every member of every unit has a record or is unwritten, no two records
/// overlap, all lie inside the layout's space and are no more than the `written_bytes` since the beginning,
/// and the layout finds nothing wrong itself.
void check_placement(const PlacedLayer& placed, std::int64_t written_bytes);

}  // namespace kvr

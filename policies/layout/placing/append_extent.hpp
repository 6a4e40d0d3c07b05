#pragma once

#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// Appends `extent`, or lengthens the last one where `extent` begins at its end.
inline void append_extent(const Extent& extent, std::vector<Extent>& extents) {
  if (!extents.empty() && extents.back().end_bytes() == extent.offset_bytes) {
    extents.back().length_bytes += extent.length_bytes;
  } else {
    extents.push_back(extent);
  }
}

}  // namespace kvr

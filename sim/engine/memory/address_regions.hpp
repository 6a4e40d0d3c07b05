#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace kvr {

// Where on flash a layer keeps what: its entries from 0 on, above them its representatives, above those what
// is swapped. Every layer of the model, and every copy of a captured layer in it, has a region of its own, so
// that no two share an address; entries of further sequences lie beyond the regions of the first. Powers of
// two far above what entries take, so that regions stay aligned to whatever the device stripes by.

inline constexpr std::int64_t kLayerRegionBytes = std::int64_t{1} << 36;
/// Entries stay below.
inline constexpr std::int64_t kFirstRepresentative = std::int64_t{1} << 35;
/// Representatives stay below.
inline constexpr std::int64_t kFirstSwapped = std::int64_t{3} << 34;

/// The room for representatives of each of a layer's heads; all there is where they decide together.
constexpr std::int64_t representative_room_bytes(std::size_t heads) {
  constexpr std::int64_t kAll = kFirstSwapped - kFirstRepresentative;
  constexpr std::size_t kUsual = 128;  // heads of a layer
  return heads == 1 ? kAll : kAll / static_cast<std::int64_t>(std::bit_ceil(std::max(heads, kUsual)));
}

}  // namespace kvr

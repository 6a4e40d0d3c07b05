#include "models/flash/address_map.hpp"

#include <algorithm>
#include <unordered_set>

#include "sim/base/error.hpp"

namespace kvr::flash {

std::int64_t AddressMap::needed_bytes(std::span<const Extent> ranges) const {
  std::unordered_set<std::int64_t> fresh;
  for (const Extent& range : ranges) {
    const std::int64_t last = (range.end_bytes() - 1) / kChunkBytes;
    for (std::int64_t chunk = range.offset_bytes / kChunkBytes; chunk <= last; ++chunk) {
      if (!places_.contains(chunk)) {
        fresh.insert(chunk);
      }
    }
  }
  return used_bytes() + std::ssize(fresh) * kChunkBytes;
}

void AddressMap::place(const Extent& range, std::vector<Extent>& pieces) {
  const std::size_t first_piece = pieces.size();
  for (std::int64_t at = range.offset_bytes; at < range.end_bytes();) {
    const std::int64_t chunk = at / kChunkBytes;
    const std::int64_t within = at - chunk * kChunkBytes;
    const std::int64_t length = std::min(kChunkBytes - within, range.end_bytes() - at);
    const std::int64_t place = places_.try_emplace(chunk, std::ssize(places_)).first->second;
    KVR_CHECK(place < chunks_, "chunk {} of a file of {}", place, chunks_);
    const std::int64_t offset = place * kChunkBytes + within;
    if (pieces.size() > first_piece && pieces.back().end_bytes() == offset) {
      pieces.back().length_bytes += length;
    } else {
      pieces.push_back({offset, length});
    }
    at += length;
  }
}

}  // namespace kvr::flash

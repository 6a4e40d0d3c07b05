#pragma once

#include <cstddef>
#include <span>

namespace kvr::hdf5 {

/// What HDF5's filters do to a chunk, backwards.

/// Fills `out` from a zlib stream. False unless the stream is sound, fills it exactly and ends with `in`.
bool inflate_exactly(std::span<const std::byte> in, std::span<std::byte> out);

/// Turns all first bytes, then all second bytes, ... of elements into elements; both spans hold whole
/// elements.
void unshuffle(std::span<const std::byte> in, std::size_t element_bytes, std::span<std::byte> out);

}  // namespace kvr::hdf5

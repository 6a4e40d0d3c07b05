#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Sorts extents and merges those that touch or overlap. Offsets and ends become what the union covers.
void merge_extents(std::vector<Extent>& extents);
/// Likewise; appends to `merged` how many extents each of them was.
void merge_extents(std::vector<Extent>& extents, std::vector<std::int64_t>& merged);

/// Widens every extent to whole blocks, then merges: what a host has to ask the device for.
void align_and_merge(std::vector<Extent>& extents, std::int64_t block_bytes);

/// How long the contiguous runs of a read are, in entries, before they are widened to blocks.
struct Contiguity {
  std::int64_t runs = 0;
  double mean_entries = 0.0;
  double max_entries = 0.0;
};
/// `merged`: extents of whole entries after merge_extents.
Contiguity contiguity_of(std::span<const Extent> merged, std::int64_t entry_bytes);
/// Where entries are of several sizes. [runs]
Contiguity contiguity_of(std::span<const std::int64_t> run_entries);

std::int64_t total_bytes(std::span<const Extent> extents);

}  // namespace kvr

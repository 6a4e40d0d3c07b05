#include "sim/engine/memory/flash_requests.hpp"

#include <algorithm>
#include <numeric>

namespace kvr {

void merge_extents(std::vector<Extent>& extents) {
  std::vector<std::int64_t> merged;
  merge_extents(extents, merged);
}

void merge_extents(std::vector<Extent>& extents, std::vector<std::int64_t>& merged) {
  if (extents.empty()) {
    return;
  }
  std::sort(extents.begin(), extents.end(),
            [](const Extent& a, const Extent& b) { return a.offset_bytes < b.offset_bytes; });
  std::size_t last = 0;
  merged.push_back(1);
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].offset_bytes <= extents[last].end_bytes()) {
      const std::int64_t end = std::max(extents[last].end_bytes(), extents[i].end_bytes());
      extents[last].length_bytes = end - extents[last].offset_bytes;
      ++merged.back();
    } else {
      extents[++last] = extents[i];
      merged.push_back(1);
    }
  }
  extents.resize(last + 1);
}

void align_and_merge(std::vector<Extent>& extents, std::int64_t block_bytes) {
  for (Extent& extent : extents) {
    const std::int64_t begin = extent.offset_bytes / block_bytes * block_bytes;
    const std::int64_t end = (extent.end_bytes() + block_bytes - 1) / block_bytes * block_bytes;
    extent = {begin, end - begin};
  }
  merge_extents(extents);
}

Contiguity contiguity_of(std::span<const Extent> merged, std::int64_t entry_bytes) {
  Contiguity result;
  result.runs = static_cast<std::int64_t>(merged.size());
  if (merged.empty()) {
    return result;
  }
  std::int64_t longest = 0;
  for (const Extent& extent : merged) {
    longest = std::max(longest, extent.length_bytes);
  }
  const auto entry = static_cast<double>(entry_bytes);
  result.mean_entries = static_cast<double>(total_bytes(merged)) / entry / static_cast<double>(merged.size());
  result.max_entries = static_cast<double>(longest) / entry;
  return result;
}

Contiguity contiguity_of(std::span<const std::int64_t> run_entries) {
  Contiguity result;
  result.runs = std::ssize(run_entries);
  if (run_entries.empty()) {
    return result;
  }
  const auto all = std::accumulate(run_entries.begin(), run_entries.end(), std::int64_t{0});
  result.mean_entries = static_cast<double>(all) / static_cast<double>(result.runs);
  result.max_entries = static_cast<double>(std::ranges::max(run_entries));
  return result;
}

std::int64_t total_bytes(std::span<const Extent> extents) {
  std::int64_t bytes = 0;
  for (const Extent& extent : extents) {
    bytes += extent.length_bytes;
  }
  return bytes;
}

}  // namespace kvr

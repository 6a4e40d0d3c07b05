#include "policies/layout/placing/free_space.hpp"

#include <algorithm>
#include <iterator>

#include "sim/base/error.hpp"

namespace kvr {

std::int64_t FreeSpace::take(std::int64_t bytes) {
  return take_aligned(bytes, 1).offset_bytes;
}

Extent FreeSpace::take_aligned(std::int64_t bytes, std::int64_t alignment_bytes) {
  const auto needed = [&](std::int64_t offset) {
    return (offset + alignment_bytes - 1) / alignment_bytes * alignment_bytes + bytes - offset;
  };
  const auto hole = std::ranges::find_if(holes_, [&](const auto& one) {
    return one.second >= needed(one.first) ||
           one.first + one.second == end_bytes_;  // the last hole may be lengthened
  });
  const std::int64_t offset = hole == holes_.end() ? end_bytes_ : hole->first;
  const Extent taken = {offset, needed(offset)};
  KVR_CHECK(take_at(offset, taken.length_bytes), "{} bytes at {} are in use", taken.length_bytes, offset);
  return taken;
}

bool FreeSpace::take_at(std::int64_t offset, std::int64_t bytes) {
  const auto hole = holes_.find(offset);
  const std::int64_t free = hole == holes_.end() ? 0 : hole->second;
  if (free < bytes && offset + free != end_bytes_) {
    return false;
  }
  if (hole != holes_.end()) {
    holes_.erase(hole);
  }
  if (free > bytes) {
    holes_.emplace(offset + bytes, free - bytes);
  }
  end_bytes_ = std::max(end_bytes_, offset + bytes);
  return true;
}

void FreeSpace::release(const Extent& extent) {
  if (extent.length_bytes == 0) {
    return;
  }
  auto next = holes_.lower_bound(extent.offset_bytes);
  std::int64_t begin = extent.offset_bytes;
  std::int64_t end = extent.end_bytes();
  KVR_CHECK(end <= end_bytes_ && (next == holes_.end() || end <= next->first), "[{}, {}) is free already",
            begin, end);
  if (next != holes_.end() && next->first == end) {
    end += next->second;
    next = holes_.erase(next);
  }
  if (next != holes_.begin()) {
    const auto before = std::prev(next);
    KVR_CHECK(before->first + before->second <= begin, "[{}, {}) is free already", begin, end);
    if (before->first + before->second == begin) {
      begin = before->first;
      holes_.erase(before);
    }
  }
  holes_.emplace(begin, end - begin);
}

}  // namespace kvr

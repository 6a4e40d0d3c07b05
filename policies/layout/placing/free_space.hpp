#pragma once

#include <cstdint>
#include <map>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// Byte ranges of a space without end, handed out by first fit: the lowest hole that is large enough, else
/// at the end.
class FreeSpace {
 public:
  /// Offset of `bytes` > 0 that are in use from now on.
  std::int64_t take(std::int64_t bytes);
  /// Takes `bytes` > 0 from a multiple of `alignment_bytes` on, and what is left free before them in their
  /// hole.
  Extent take_aligned(std::int64_t bytes, std::int64_t alignment_bytes);
  /// Takes the `bytes` from `offset` on, the end of a range in use, unless any of them is in use.
  bool take_at(std::int64_t offset, std::int64_t bytes);
  /// Gives back a range, or a part of one.
  void release(const Extent& extent);
  /// No range ever reached beyond it.
  std::int64_t end_bytes() const { return end_bytes_; }

 private:
  std::map<std::int64_t, std::int64_t> holes_;  ///< length by offset, none touching another
  std::int64_t end_bytes_ = 0;
};

}  // namespace kvr

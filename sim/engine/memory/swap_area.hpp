#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "sim/base/indexed.hpp"
#include "sim/engine/memory/cached_entry.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// A second place on flash for what the cache holds of one layer, so that it comes back in one sequential
/// read. Every cached entry has a slot. Slots come in groups of whole blocks, the least that can be written;
/// none crosses into another group.
class SwapArea {
 public:
  /// `begin_bytes`: where the area begins, at a block.
  SwapArea(std::int64_t begin_bytes, std::int64_t entry_bytes, std::int64_t block_bytes);

  /// After a step: the area holds `cached` from here on, each entry once, and nothing else. Appends the
  /// groups to write, one extent each; they are written whole, as all of `cached` is still in DRAM.
  void write_back(std::span<const CachedEntry> cached, std::vector<Extent>& writes);

  /// Before the next step: appends the run that has all of `cached`, which must be in the area. What left the
  /// cache in between is read along where it lies among them.
  void read_back(std::span<const CachedEntry> cached, std::vector<Extent>& reads) const;

  /// Throws InternalError where the area does not have it.
  Extent record_of(const CachedEntry& cached) const;
  /// The most that the area ever took.
  std::int64_t space_bytes() const { return space_bytes_; }

 private:
  static constexpr std::int64_t kNone = -1;
  static constexpr CachedEntry kFree = {-1, -1};

  bool is_free(std::int64_t slot) const { return slots_[slot] == kFree; }
  std::int64_t slot_count() const { return slots_.size(); }
  std::int64_t slot_of(const CachedEntry& cached) const;
  void put(const CachedEntry& cached, std::int64_t slot);
  void free_slot(std::int64_t slot);
  /// Frees the slots of all that is not in `cached`; returns what of it has no slot yet.
  std::vector<CachedEntry> keep(std::span<const CachedEntry> cached);
  /// In the order in which newcomers take them; `wanted` of them at least.
  std::vector<std::int64_t> slots_for(std::size_t wanted);
  /// Fills what is free in groups that are written anyway with the last entries of the area.
  void close_up(const std::set<std::int64_t>& written);
  /// Gives up the groups at the end that hold nothing.
  void shrink();

  std::int64_t begin_bytes_;
  std::int64_t entry_bytes_;
  std::int64_t slots_per_group_;
  std::int64_t group_bytes_;
  Indexed<std::int64_t, CachedEntry> slots_;                          ///< of whole groups
  Indexed<std::int64_t, Indexed<EntryIndex, std::int64_t>> slot_of_;  ///< [heads]
  std::int64_t space_bytes_ = 0;
};

}  // namespace kvr

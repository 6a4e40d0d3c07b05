#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/interfaces/clustering.hpp"
#include "sim/types.hpp"

namespace kvr {

/// What a layout did to the flash: the engine charges the device for it.
struct LayoutTraffic {
  std::vector<Extent> writes;       ///< every byte range written, new entries and moved ones
  std::vector<Extent> reads;        ///< of entries that are moved without being in DRAM
  std::int64_t appended_bytes = 0;  ///< payload of entries placed for the first time
  std::int64_t moved_bytes = 0;     ///< payload written again elsewhere

  void clear() { *this = {}; }
};

/// Places the entries of one layer (all its KV heads) on flash; offsets count from the layer's own region.
///
/// An entry is one record of `entry_bytes` (its K, then its V, as the codecs store them). The engine calls
/// `place` once with the prompt's units, then `update` with every later change of a head, and `locate`
/// for reads. Invariants, checked by the engine: the records of two entries never overlap, every member of
/// a unit has a place, and all lie below `space_bytes`.
class Layout {
 public:
  static constexpr std::string_view kKind = "layout";
  struct Context {
    std::int64_t kv_heads;
    std::int64_t entry_bytes;
    std::int64_t block_bytes;  ///< the device's smallest transfer
    std::uint64_t root_seed;
  };

  virtual ~Layout() = default;

  /// `heads` [kv_heads]: the clusterings of the layer right after the prompt.
  virtual void place(std::span<const Clustering* const> heads, LayoutTraffic& traffic) = 0;
  virtual void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
                      LayoutTraffic& traffic) = 0;
  /// Appends the records of `entries`, members of `unit`, one extent each, in any order; the engine aligns
  /// them to blocks and merges neighbours.
  virtual void locate(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries,
                      std::vector<Extent>& extents) const = 0;
  /// Flash reserved for this layer so far, holes included.
  virtual std::int64_t space_bytes() const = 0;
};

}  // namespace kvr

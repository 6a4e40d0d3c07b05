#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/record_sizes.hpp"
#include "sim/interfaces/report.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// An entry that is written again elsewhere, and the record it had.
struct MovedRecord {
  EntryIndex entry;
  Extent from;
  std::int64_t head = -1;  ///< whose entry it is; -1: of the head that is updated
};

/// What a layout did to the flash: the engine charges the device for it.
struct LayoutTraffic {
  std::vector<Extent> writes;       ///< every byte range written, new entries and moved ones
  std::vector<MovedRecord> moved;   ///< the engine reads back what is not in DRAM
  std::int64_t appended_bytes = 0;  ///< payload of entries written for the first time
  std::int64_t outgrown = 0;        ///< times a unit outgrew the room that it had

  std::int64_t moved_bytes() const;  ///< payload written again elsewhere
  void clear() { *this = {}; }
};

/// Two units of one head that the same prompt queries selected.
struct CoRetrieval {
  UnitId first;  ///< below `second`
  UnitId second;
  std::int64_t count;  ///< queries that selected both

  friend bool operator==(const CoRetrieval&, const CoRetrieval&) = default;
};

/// The units of one layer right after the prompt.
struct PromptUnits {
  std::span<const Clustering* const> heads;  ///< [kv_heads]
  /// [kv_heads], ascending by first, then second; empty for a layout that does not want it. Only the prompt
  /// queries that the trace keeps count, often few.
  std::span<const std::vector<CoRetrieval>> co_retrieval = {};
};

/// Places the entries of one layer (all its KV heads) on flash; offsets count from the layer's own region.
///
/// A layout serves all heads of one layer of one sequence; they are updated in ascending order, never in
/// parallel.
///
/// An entry is one record (its K, then its V, as the codecs store them) of `entry_bytes` or, where there are
/// `sizes`, of what they say of it once it is a member. The engine calls `place` once with the prompt's
/// units, then `update` once for every head and step with what changed (perhaps nothing), and once more, with
/// `removed` alone, where a stage evicts; and `locate` for reads. The place of a removed entry is free from
/// then on: `locate` is not asked for it any more, `unwritten` no longer lists it, as one that waits to be
/// written never is, and its record may be given to another entry.
/// What is removed writes nothing by itself, and the call is no step. To a layout an entry is its record:
/// where a codec keeps a tail as captured, an entry comes to be a member when it leaves that, and is pending
/// before; where records refer to one another, a removed entry is a member until none refers to it.
/// Invariants, checked by the engine: the records of two entries never overlap, every member of a unit has a
/// place or is unwritten, all places lie below `space_bytes`, and `writes` has the bytes of every entry that
/// has come to have a place.
class Layout {
 public:
  static constexpr std::string_view kKind = "layout";
  struct Context {
    std::int64_t kv_heads;
    std::int64_t entry_bytes;  ///< of the largest record
    std::int64_t block_bytes;  ///< the device's smallest transfer
    std::uint64_t root_seed;
    /// [kv_heads], which outlive the layout; empty where all records are of one size.
    std::vector<const RecordSizes*> sizes = {};
  };

  virtual ~Layout() = default;

  /// Whether records of several sizes have their places: a layout that gives each entry a slot of
  /// `entry_bytes` is refused beside a codec whose sizes vary.
  virtual bool takes_sizes() const { return false; }

  /// Whether `place` wants to know which units are selected together.
  virtual bool wants_co_retrieval() const { return false; }
  virtual void place(const PromptUnits& prompt, LayoutTraffic& traffic) = 0;
  virtual void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
                      LayoutTraffic& traffic) = 0;
  /// Members that wait in DRAM to be written, valid until the next `update`. The engine takes them for read
  /// and does not ask `locate` for them.
  virtual std::span<const EntryIndex> unwritten(std::int64_t /*head*/) const { return {}; }
  /// Appends the records of `entries`, members of `unit`, one extent each, in any order; the engine aligns
  /// them to blocks and merges neighbours.
  virtual void locate(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries,
                      std::vector<Extent>& extents) const = 0;
  /// Flash reserved for this layer so far, holes included.
  virtual std::int64_t space_bytes() const = 0;
  /// DRAM for what finding records takes besides the units: an index of places that follow from nothing else.
  virtual std::int64_t dram_bytes() const { return 0; }
  /// Throws InternalError where what the implementation promises of its places does not hold; asked between
  /// steps.
  virtual void check() const {}
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

inline std::int64_t LayoutTraffic::moved_bytes() const {
  std::int64_t bytes = 0;
  for (const MovedRecord& record : moved) {
    bytes += record.from.length_bytes;
  }
  return bytes;
}

}  // namespace kvr

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/indexed.hpp"
#include "sim/base/params.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {

/// What layouts share that keep the records of a unit side by side: which record holds which entry, what a
/// change moves, and write buffers of a page. Where the records lie is left to the layout: record i of a
/// unit, i counting from the unit's beginning.
///
/// A split leaves holes in the old unit; entries that join it fill them first, then its last ones do, so
/// that no more entries move than there are holes. What joins another unit is written there. A record that
/// comes to lie where it was is not written.
///
/// A removed entry leaves a hole as well, but nothing fills it by itself: entries that are appended do,
/// before the unit grows, and the unit is closed up when it is split or regrouped. Holes at a unit's end go
/// at once where the layout can give up their room and move nothing; so a unit has no more records than it
/// once had entries.
///
/// With a write buffer, an entry that is appended to a hot unit waits in DRAM until the unit's buffer
/// completes the page that the unit's records end in; then the buffer is written, and it is written as well
/// when the unit is split or has cooled down. Entries of a cold unit are written at once. A unit is hot when
/// something was appended to it within the last `hot_steps` steps. A removed entry leaves the buffer.
class ContiguousUnits : public Layout {
 public:
  struct BufferParams {
    std::int64_t page_buffer = 0;
    std::int64_t hot_steps = 16;
  };
  static ParamTable<BufferParams> buffer_params();
  static std::vector<IdleParam> idle(const BufferParams& params);

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override;
  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic) override;
  std::span<const EntryIndex> unwritten(std::int64_t head) const final;
  void locate(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const final;

 protected:
  ContiguousUnits(const BufferParams& params, const Context& context);

  std::int64_t entry_bytes() const { return context_.entry_bytes; }
  std::int64_t up_to_block(std::int64_t bytes) const;
  /// Record of an entry that has left the unit.
  static constexpr EntryIndex kHole = -1;
  /// Entries on flash, by record.
  std::span<const EntryIndex> entries_of(std::int64_t head, UnitId unit) const;
  /// Accounts for `entry` being written to `to`, from where it lay, if it did. `head`: see MovedRecord.
  void write(EntryIndex entry, const std::optional<Extent>& from, const Extent& to, LayoutTraffic& traffic,
             std::int64_t head = -1) const;
  /// Fills the holes of `unit` from its end.
  void close_up(std::int64_t head, UnitId unit, LayoutTraffic& traffic) { close_up(head, unit, {}, traffic); }

 private:
  /// Room for every unit of the prompt, as many records as it has members.
  virtual void arrange(const PromptUnits& prompt) = 0;
  /// Changes the room of a unit, perhaps a new one, to `records`. Records below that and below the old number
  /// stay, or the layout moves them and accounts for it with `write`.
  virtual void resize(std::int64_t head, UnitId unit, std::int64_t records, LayoutTraffic& traffic) = 0;
  /// Whether a unit can become shorter while everything stays where it is.
  virtual bool shortens_in_place() const { return true; }
  virtual Extent record(std::int64_t head, UnitId unit, std::int64_t index) const = 0;
  /// From the end of the unit's records to where a page of `page_bytes` ends in the direction of growth;
  /// 1 to page_bytes.
  virtual std::int64_t to_page_end(std::int64_t head, UnitId unit, std::int64_t page_bytes) const = 0;

  struct Place {
    UnitId unit = -1;         ///< -1: not seen yet
    std::int32_t index = -1;  ///< record; -1: in the unit's write buffer
  };
  struct Unit {
    std::vector<EntryIndex> records;
    std::vector<EntryIndex> buffer;
    std::int64_t last_append = -1;  ///< step
  };
  struct Head {
    Indexed<EntryIndex, Place> of_entry;
    Indexed<UnitId, Unit> units;
    std::vector<UnitId> waiting;  ///< units with something in their buffer
    std::vector<EntryIndex> unwritten;
    std::int64_t step = 0;
  };
  /// An entry on its way to a unit.
  struct Joining {
    EntryIndex entry;
    std::optional<Extent> from;
  };

  Unit& unit_at(std::int64_t head, UnitId unit) { return heads_[head].units.reach(unit); }
  Place& place_of(std::int64_t head, EntryIndex entry) { return heads_[head].of_entry.reach(entry); }
  void restructure(std::int64_t head, std::span<const UnitId> touched, const Clustering& clustering,
                   LayoutTraffic& traffic);
  std::vector<Joining> joining(std::int64_t head, UnitId unit, const Clustering& clustering);
  std::size_t holes_in(std::int64_t head, UnitId unit);
  void close_up(std::int64_t head, UnitId unit, std::span<const Joining> joining, LayoutTraffic& traffic);
  void join(std::int64_t head, UnitId unit, std::span<const Joining> joining, LayoutTraffic& traffic);
  void put(std::int64_t head, UnitId unit, std::size_t index, const Joining& joining, LayoutTraffic& traffic);
  void remove(std::int64_t head, EntryIndex entry, LayoutTraffic& traffic);
  void shorten(std::int64_t head, UnitId unit, LayoutTraffic& traffic);
  void append(std::int64_t head, UnitId unit, EntryIndex entry, LayoutTraffic& traffic);
  void flush(std::int64_t head, UnitId unit, LayoutTraffic& traffic);
  void flush_cold(std::int64_t head, LayoutTraffic& traffic);
  void list_unwritten(Head& head) const;

  BufferParams params_;
  Context context_;
  Indexed<std::int64_t, Head> heads_;
};

}  // namespace kvr

// The entries of a unit side by side, in segments that never move:
//
//   place, created: one segment for the unit, of its members and a share `slack` of them as free records
//   appended:  into the unit's lowest free record; if there is none, first a new segment, in whole blocks, of
//              max(one block, growth * the unit's bytes)
//   split:     a segment of its own for the new unit, whose members move there; what they leave behind is
//              free for the old unit, which is compacted no further
//   regrouped: every entry that is of another unit now moves to a free record of it; all that they leave are
//              free before
//   removed:   the record is free for its unit. A unit that is left without any gives its segments back.
//   segments:  in the first room that was given back and takes them, else at the end
//
// page_buffer: an entry that gets a record waits in DRAM until no unit has a free record in the page that it
//              lies in, or nothing has come to this page for wait_steps steps. Entries that move do not wait.
#include <algorithm>
#include <cmath>
#include <set>

#include "policies/layout/placing/append_extent.hpp"
#include "policies/layout/placing/free_space.hpp"
#include "policies/layout/placing/page_buffer.hpp"
#include "policies/layout/placing/removal.hpp"
#include "sim/base/indexed.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/layout.hpp"

namespace kvr {
namespace {

/// Every free record is held in memory, so the share of them decides how much that is.
constexpr double kMostShare = 16.0;

class ClusterContiguous final : public Layout {
 public:
  static constexpr std::string_view kName = "cluster_contiguous";
  static constexpr std::string_view kDoc =
      "Keeps the entries of a unit together in segments; a unit that outgrows its segments gets another.";
  static constexpr std::string_view kSource =
      "ours; the intra-cluster continuity of DynaKV (sec. 5) without its pools";

  struct Params {
    double growth = 0.5;
    double slack = 0.0;
    std::int64_t page_buffer = 0;
    std::int64_t wait_steps = 32;
  };
  static ParamTable<Params> params() {
    return {{"growth",
             &Params::growth,
             {.doc = "size of a further segment, as a share of the unit, at least one block",
              .min = 0,
              .max = kMostShare,
              .source = "assumed"}},
            {"slack",
             &Params::slack,
             {.doc = "free records in a unit's first segment, as a share of its members",
              .min = 0,
              .max = kMostShare,
              .source = "assumed"}},
            {"page_buffer",
             &Params::page_buffer,
             {.doc = "page that new entries wait in DRAM to complete; 0: all are written at once",
              .quantity = Quantity::bytes,
              .min = 0,
              .max = bounds::kBytes,
              .source = "DynaKV, sec. 5, which does not say the size"}},
            {"wait_steps",
             &Params::wait_steps,
             {.doc = "steps without a new entry after which a page is written as it is, where there is a "
                     "page_buffer",
              .unit = "steps",
              .min = 1,
              .max = bounds::kEntries,
              .source = "assumed: a recent window of 32 entries is in DRAM anyway"}}};
  }
  static std::vector<IdleParam> idle(const Params& params) {
    return params.page_buffer == 0 ? std::vector<IdleParam>{{"wait_steps", "page_buffer is 0"}}
                                   : std::vector<IdleParam>{};
  }

  ClusterContiguous(Params params, const Context& context)
      : params_(params),
        context_(context),
        buffer_(params.page_buffer, context.kv_heads),
        heads_(context.kv_heads) {}

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override {
    std::int64_t head = 0;
    for (const Clustering* clustering : prompt.heads) {
      for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
        open(head, unit, *clustering, traffic);
      }
      ++head;
    }
    buffer_.write([](const PageBuffer::Page&) { return true; }, traffic);
  }

  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic) override {
    if (is_removal(changes)) {
      for (const Change& change : changes) {
        remove(head, change.entry);
      }
      return;
    }
    const std::int64_t step = ++at(head).step;
    for (const Change& change : changes) {
      if (change.kind == ChangeKind::created) {
        open(head, change.unit, clustering, traffic);
      } else if (change.kind == ChangeKind::split) {
        open(head, change.other, clustering, traffic);
        settle(head, change.unit, clustering, traffic);  // pending ones
      } else if (change.kind == ChangeKind::regrouped) {
        regroup(head, clustering, traffic);
      }
    }
    for (const Change& change : changes) {  // last, lest an entry be written and split off at once
      if (change.kind == ChangeKind::appended && !placed(at(head), change.entry)) {
        put(head, change.unit, change.entry, clustering, traffic);
      }
    }
    buffer_.write(
        [this, step](const PageBuffer::Page& page) {
          return is_complete(page.at) || step - page.last_step >= params_.wait_steps;
        },
        traffic);
  }

  std::span<const EntryIndex> unwritten(std::int64_t head) const override { return buffer_.waiting(head); }

  void locate(std::int64_t head, UnitId, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const override {
    const Head& records = heads_[head];
    for (const EntryIndex entry : entries) {
      extents.push_back(extent(records.of_entry[entry].offset_bytes));
    }
  }

  std::int64_t space_bytes() const override { return space_.end_bytes(); }

 private:
  struct Record {
    std::int64_t offset_bytes = -1;
    UnitId unit = -1;  ///< whose segment it lies in; -1: not on flash
  };
  struct Unit {
    std::vector<Extent> segments;
    std::int64_t records = 0;     ///< in the segments
    std::set<std::int64_t> free;  ///< offsets of the records that hold no entry
  };
  struct Head {
    Indexed<EntryIndex, Record> of_entry;
    Indexed<UnitId, Unit> units;
    std::int64_t step = 0;
  };

  static bool placed(const Head& head, EntryIndex entry) {
    return head.of_entry.has(entry) && head.of_entry[entry].unit >= 0;
  }

  Head& at(std::int64_t head) { return heads_[head]; }
  Unit& unit_at(std::int64_t head, UnitId unit) { return at(head).units[unit]; }
  Extent extent(std::int64_t offset_bytes) const { return {offset_bytes, context_.entry_bytes}; }

  /// First segment of a unit, and its members into it.
  void open(std::int64_t head, UnitId unit, const Clustering& clustering, LayoutTraffic& traffic) {
    make_room(head, unit, clustering);
    settle(head, unit, clustering, traffic);
  }

  void make_room(std::int64_t head, UnitId unit, const Clustering& clustering) {
    at(head).units.reach(unit);
    const std::int64_t members = std::ssize(clustering.members(unit));
    const std::int64_t records = members + std::llround(params_.slack * static_cast<double>(members));
    if (records > 0) {
      const std::int64_t bytes = records * context_.entry_bytes;
      const Extent segment = {space_.take(bytes), bytes};
      reserve(unit_at(head, unit), segment, segment.offset_bytes);
    }
  }

  /// Another segment, of whole blocks from the next block on.
  void grow(Unit& unit, std::int64_t members) {
    const double wanted = params_.growth * static_cast<double>(members * context_.entry_bytes);
    const std::int64_t bytes =
        up_to_block(std::max<std::int64_t>(context_.entry_bytes, std::llround(wanted)));
    const Extent segment = space_.take_aligned(bytes, context_.block_bytes);
    reserve(unit, segment, segment.end_bytes() - bytes);
  }

  std::int64_t up_to_block(std::int64_t bytes) const {
    return (bytes + context_.block_bytes - 1) / context_.block_bytes * context_.block_bytes;
  }

  /// The records of `segment` begin at `offset_bytes`.
  void reserve(Unit& unit, const Extent& segment, std::int64_t offset_bytes) {
    unit.segments.push_back(segment);
    for (; offset_bytes + context_.entry_bytes <= segment.end_bytes(); offset_bytes += context_.entry_bytes) {
      release(unit.free, offset_bytes);
      ++unit.records;
    }
  }

  void give_back(Unit& unit) {
    for (const std::int64_t offset_bytes : unit.free) {
      count_free(extent(offset_bytes), -1);
    }
    for (const Extent& segment : unit.segments) {
      space_.release(segment);
    }
    unit = {};
  }

  void release(std::set<std::int64_t>& free, std::int64_t offset_bytes) {
    free.insert(offset_bytes);
    count_free(extent(offset_bytes), 1);
  }

  std::int64_t take_lowest(std::set<std::int64_t>& free) {
    const std::int64_t offset_bytes = *free.begin();
    free.erase(free.begin());
    count_free(extent(offset_bytes), -1);
    return offset_bytes;
  }

  void count_free(const Extent& record, std::int64_t more) {
    if (!buffer_.enabled()) {
      return;
    }
    const std::int64_t page_bytes = buffer_.page_bytes();
    const std::int64_t last = (record.end_bytes() - 1) / page_bytes;
    for (std::int64_t page = record.offset_bytes / page_bytes; page <= last; ++page) {
      free_in_page_.reach(page, 0) += more;
    }
  }

  bool is_complete(const Extent& page) const {
    return page.end_bytes() <= space_.end_bytes() &&
           free_in_page_[page.offset_bytes / page.length_bytes] == 0;
  }

  void settle(std::int64_t head, UnitId unit, const Clustering& clustering, LayoutTraffic& traffic) {
    for (const EntryIndex entry : clustering.members(unit)) {
      put(head, unit, entry, clustering, traffic);
    }
  }

  /// Gives `entry` a record among those of `unit`, unless it has one.
  void put(std::int64_t head, UnitId unit, EntryIndex entry, const Clustering& clustering,
           LayoutTraffic& traffic) {
    if (record_of(head, entry).unit != unit) {
      lay(head, unit, entry, lift(head, entry), clustering, traffic);
    }
  }

  void regroup(std::int64_t head, const Clustering& clustering, LayoutTraffic& traffic) {
    struct Leaving {
      EntryIndex entry;
      UnitId unit;
      Record from;
    };
    std::vector<Leaving> leaving;
    for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
      for (const EntryIndex entry : clustering.members(unit)) {
        if (record_of(head, entry).unit != unit) {
          leaving.push_back({entry, unit, lift(head, entry)});
        }
      }
    }
    for (auto unit = static_cast<UnitId>(at(head).units.size()); unit < clustering.unit_count(); ++unit) {
      make_room(head, unit, clustering);
    }
    for (const Leaving& one : leaving) {
      lay(head, one.unit, one.entry, one.from, clustering, traffic);
    }
  }

  Record& record_of(std::int64_t head, EntryIndex entry) { return at(head).of_entry.reach(entry); }

  /// Frees the record of `entry`, if it has one, and returns what it was.
  Record lift(std::int64_t head, EntryIndex entry) {
    const Record record = record_of(head, entry);
    if (record.unit >= 0) {
      release(unit_at(head, record.unit).free, record.offset_bytes);
    }
    record_of(head, entry) = {};
    return record;
  }

  void remove(std::int64_t head, EntryIndex entry) {
    const Record record = lift(head, entry);
    if (record.unit < 0) {
      return;
    }
    buffer_.take(head, entry, extent(record.offset_bytes));
    Unit& unit = unit_at(head, record.unit);
    if (std::ssize(unit.free) == unit.records) {
      give_back(unit);
    }
  }

  /// Gives `entry`, which lay at `old`, a record among those of `unit`.
  void lay(std::int64_t head, UnitId unit, EntryIndex entry, const Record& old, const Clustering& clustering,
           LayoutTraffic& traffic) {
    Unit& into = unit_at(head, unit);
    if (into.free.empty()) {
      grow(into, std::ssize(clustering.members(unit)));
      ++traffic.outgrown;
    }
    const Extent record = extent(take_lowest(into.free));
    record_of(head, entry) = {record.offset_bytes, unit};
    if (old.unit >= 0 && !buffer_.take(head, entry, extent(old.offset_bytes))) {
      traffic.moved.push_back({entry, extent(old.offset_bytes)});
      append_extent(record, traffic.writes);
    } else {
      write_new(head, entry, record, traffic);
    }
  }

  void write_new(std::int64_t head, EntryIndex entry, const Extent& record, LayoutTraffic& traffic) {
    if (buffer_.enabled()) {
      buffer_.add(head, entry, record, at(head).step);
    } else {
      append_extent(record, traffic.writes);
      traffic.appended_bytes += context_.entry_bytes;
    }
  }

  Params params_;
  Context context_;
  PageBuffer buffer_;
  Indexed<std::int64_t, Head> heads_;
  FreeSpace space_;
  Indexed<std::int64_t, std::int64_t>
      free_in_page_;  // [page]: free records in it, where there is a page buffer
};

const Registration<Layout, ClusterContiguous> registered;

}  // namespace
}  // namespace kvr

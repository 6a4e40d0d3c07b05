// The entries of a unit side by side, in segments that never move:
//
//   place, created: one segment for the unit, of its members and a share `slack` of them as free records
//   appended:  into the unit's lowest free record; if there is none, first a new segment at the end,
//              in whole blocks, of max(one block, growth * the unit's bytes)
//   split:     a segment of its own for the new unit, whose members move there; what they leave behind is
//              free for the old unit, which is compacted no further
#include <algorithm>
#include <cmath>
#include <set>

#include "policies/layout/placing/append_extent.hpp"
#include "sim/interfaces/layout.hpp"
#include "sim/registry.hpp"

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
              .source = "assumed"}}};
  }

  ClusterContiguous(Params params, const Context& context)
      : params_(params), context_(context), heads_(static_cast<std::size_t>(context.kv_heads)) {}

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override {
    std::int64_t head = 0;
    for (const Clustering* clustering : prompt.heads) {
      for (UnitId unit = 0; unit < clustering->unit_count(); ++unit) {
        open(at(head), unit, *clustering, traffic);
      }
      ++head;
    }
  }

  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic) override {
    for (const Change& change : changes) {
      if (change.kind == ChangeKind::created) {
        open(at(head), change.unit, clustering, traffic);
      } else if (change.kind == ChangeKind::split) {
        open(at(head), change.other, clustering, traffic);
        settle(at(head), change.unit, clustering, traffic);  // pending ones
      }
    }
    for (const Change& change : changes) {  // last, lest an entry be written and split off at once
      if (change.kind == ChangeKind::appended && !placed(at(head), change.entry)) {
        put(at(head), change.unit, change.entry, clustering, traffic);
      }
    }
  }

  void locate(std::int64_t head, UnitId, std::span<const EntryIndex> entries,
              std::vector<Extent>& extents) const override {
    const Head& records = heads_[static_cast<std::size_t>(head)];
    for (const EntryIndex entry : entries) {
      extents.push_back(extent(records.of_entry[static_cast<std::size_t>(entry)].offset_bytes));
    }
  }

  std::int64_t space_bytes() const override { return end_bytes_; }

 private:
  struct Record {
    std::int64_t offset_bytes = -1;
    UnitId unit = -1;  ///< whose segment it lies in; -1: not on flash
  };
  struct Head {
    std::vector<Record> of_entry;
    std::vector<std::set<std::int64_t>> free;  // [unit], offsets of free records
  };

  static bool placed(const Head& head, EntryIndex entry) {
    const auto index = static_cast<std::size_t>(entry);
    return index < head.of_entry.size() && head.of_entry[index].unit >= 0;
  }

  Head& at(std::int64_t head) { return heads_[static_cast<std::size_t>(head)]; }
  Extent extent(std::int64_t offset_bytes) const { return {offset_bytes, context_.entry_bytes}; }

  /// First segment of a unit, and its members into it.
  void open(Head& head, UnitId unit, const Clustering& clustering, LayoutTraffic& traffic) {
    head.free.resize(std::max(head.free.size(), static_cast<std::size_t>(unit) + 1));
    const std::int64_t members = std::ssize(clustering.members(unit));
    reserve(head, unit, members + std::llround(params_.slack * static_cast<double>(members)));
    settle(head, unit, clustering, traffic);
  }

  /// Another segment, of whole blocks from the next block on.
  void grow(Head& head, UnitId unit, std::int64_t members) {
    const double wanted = params_.growth * static_cast<double>(members * context_.entry_bytes);
    const std::int64_t begin = up_to_block(end_bytes_);
    const std::int64_t end =
        begin + up_to_block(std::max<std::int64_t>(context_.entry_bytes, std::llround(wanted)));
    end_bytes_ = begin;
    reserve(head, unit, (end - begin) / context_.entry_bytes);
    end_bytes_ = end;
  }

  std::int64_t up_to_block(std::int64_t bytes) const {
    return (bytes + context_.block_bytes - 1) / context_.block_bytes * context_.block_bytes;
  }

  void reserve(Head& head, UnitId unit, std::int64_t records) {
    std::set<std::int64_t>& free = head.free[static_cast<std::size_t>(unit)];
    for (std::int64_t i = 0; i < records; ++i) {
      free.insert(end_bytes_);
      end_bytes_ += context_.entry_bytes;
    }
  }

  void settle(Head& head, UnitId unit, const Clustering& clustering, LayoutTraffic& traffic) {
    for (const EntryIndex entry : clustering.members(unit)) {
      put(head, unit, entry, clustering, traffic);
    }
  }

  /// Gives `entry` a record among those of `unit`, unless it has one.
  void put(Head& head, UnitId unit, EntryIndex entry, const Clustering& clustering, LayoutTraffic& traffic) {
    const auto index = static_cast<std::size_t>(entry);
    head.of_entry.resize(std::max(head.of_entry.size(), index + 1));
    Record& record = head.of_entry[index];
    if (record.unit == unit) {
      return;
    }
    std::set<std::int64_t>& free = head.free[static_cast<std::size_t>(unit)];
    if (free.empty()) {
      grow(head, unit, std::ssize(clustering.members(unit)));
      ++traffic.outgrown;
    }
    if (record.unit >= 0) {
      head.free[static_cast<std::size_t>(record.unit)].insert(record.offset_bytes);
      traffic.moved.push_back({entry, extent(record.offset_bytes)});
    } else {
      traffic.appended_bytes += context_.entry_bytes;
    }
    record = {*free.begin(), unit};
    free.erase(free.begin());
    append_extent(extent(record.offset_bytes), traffic.writes);
  }

  Params params_;
  Context context_;
  std::vector<Head> heads_;
  std::int64_t end_bytes_ = 0;
};

const Registration<Layout, ClusterContiguous> registered;

}  // namespace
}  // namespace kvr

// Every unit exactly contiguous, without room to grow, as a naive store of clusters would be.
//
// relocate:
//   place:   one unit after another, head by head
//   growth:  into the bytes behind the unit where they are free; where its neighbour begins, the unit is
//            moved as a whole into the first hole that takes it, else to the end
//   split:   the old unit is closed up where it is, the new one goes into the first hole that takes it;
//            bytes left are free again
//   removed: a hole, which the unit's next growth fills; at the unit's end, bytes that are free again
//
// shift:     the units of all heads stay packed in the order of their creation
//   place:   as above
//   growth:  everything behind the unit moves up by what it grew
//   split:   what is behind the old unit moves down, the new one goes to the end
//   removed: a hole, which the unit's next growth fills. Where an update moves what is behind a unit, it
//   closes
//            that up; where more holes than entries would be left, it closes up everything. A unit that is
//            closed up to nothing is forgotten, and new if it comes back.
//   What one update of a head does is put together: every entry is moved once at most, to where it lies in
//   the end. Heads of a layer are updated one after another, so an entry may move again for the next head.
#include <algorithm>

#include "policies/layout/placing/contiguous_units.hpp"
#include "policies/layout/placing/free_space.hpp"
#include "policies/layout/placing/removal.hpp"
#include "sim/base/error.hpp"
#include "sim/base/indexed.hpp"
#include "sim/base/registry.hpp"

namespace kvr {
namespace {

class ClusterByCluster final : public ContiguousUnits {
 public:
  static constexpr std::string_view kName = "cluster_by_cluster";
  static constexpr std::string_view kDoc =
      "Keeps units exactly contiguous, one after another; a unit that meets its neighbour is moved as a "
      "whole, or everything behind it is.";
  static constexpr std::string_view kSource =
      "the naive layout that DynaKV, arXiv 2511.07427, compares with (fig. 13), without saying what it does "
      "for growth; first fit is assumed";

  struct Params {
    BufferParams buffer;
    std::string on_growth = "relocate";
  };
  static ParamTable<Params> params() {
    ParamTable<Params> rows = table_of_part(buffer_params(), &Params::buffer);
    rows.push_back(
        {"on_growth",
         &Params::on_growth,
         {.doc = "what makes room for a unit that meets its neighbour. relocate: the unit is moved to where "
                 "it fits; shift: everything behind it, of any head, moves up",
          .choices = "relocate|shift",
          .source = "assumed: the bounds of what DynaKV's naive layout may do"}});
    return rows;
  }
  static std::vector<IdleParam> idle(const Params& params) { return ContiguousUnits::idle(params.buffer); }

  ClusterByCluster(const Params& params, const Context& context)
      : ContiguousUnits(params.buffer, context),
        shifts_(params.on_growth == "shift"),
        units_(context.kv_heads),
        on_flash_(context.kv_heads) {}

  void place(const PromptUnits& prompt, LayoutTraffic& traffic) override {
    ContiguousUnits::place(prompt, traffic);
    if (shifts_) {
      LayoutTraffic accounted_for;
      follow_places(accounted_for);
    }
  }

  void update(std::int64_t head, std::span<const Change> changes, const Clustering& clustering,
              LayoutTraffic& traffic) override {
    if (!shifts_ || is_removal(changes)) {
      ContiguousUnits::update(head, changes, clustering, traffic);
      return;
    }
    LayoutTraffic piecemeal;
    first_moved_ = std::ssize(order_);
    ContiguousUnits::update(head, changes, clustering, piecemeal);
    traffic.outgrown += piecemeal.outgrown;
    close_up_from(holes_outnumber_entries() ? 0 : first_moved_);
    follow_places(traffic);
  }

  std::int64_t space_bytes() const override { return shifts_ ? reserved_bytes_ : space_.end_bytes(); }

  /// Where units shift, they are packed, with the holes that they still have.
  void check() const override {
    std::int64_t end_bytes = 0;
    for (const Key& key : order_) {
      const Extent& run = run_of(key);
      const std::int64_t bytes = std::ssize(entries_of(key.head, key.unit)) * entry_bytes();
      KVR_CHECK(run == (Extent{end_bytes, bytes}), "head {}, unit {}: {} bytes at {} instead of {} at {}",
                key.head, key.unit, run.length_bytes, run.offset_bytes, bytes, end_bytes);
      end_bytes = run.end_bytes();
    }
  }

 private:
  struct Key {
    std::int64_t head;
    UnitId unit;
  };
  struct Unit {
    Extent run;
    std::int64_t rank = -1;  ///< in `order_`; -1: in none
  };

  void arrange(const PromptUnits& prompt) override {
    LayoutTraffic nothing;
    for (std::int64_t head = 0; head < std::ssize(prompt.heads); ++head) {
      const Clustering& clustering = *prompt.heads[static_cast<std::size_t>(head)];
      for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
        resize(head, unit, std::ssize(clustering.members(unit)), nothing);
      }
    }
  }

  void resize(std::int64_t head, UnitId unit, std::int64_t records, LayoutTraffic& traffic) override {
    if (shifts_) {
      shift({head, unit}, records, traffic);
    } else {
      relocate(head, unit, records, traffic);
    }
  }

  void relocate(std::int64_t head, UnitId unit, std::int64_t records, LayoutTraffic& traffic) {
    Extent& run = unit_at(head, unit).run;
    const std::int64_t more = records * entry_bytes() - run.length_bytes;
    if (more < 0) {
      run.length_bytes += more;
      space_.release({run.end_bytes(), -more});
    } else if (run.length_bytes == 0 && more > 0) {
      run = {space_.take(more), more};
    } else if (space_.take_at(run.end_bytes(), more)) {
      run.length_bytes += more;
    } else {
      move(head, unit, run.length_bytes + more, traffic);
    }
  }

  void move(std::int64_t head, UnitId unit, std::int64_t bytes, LayoutTraffic& traffic) {
    Extent& run = unit_at(head, unit).run;
    const Extent old = run;
    run = {space_.take(bytes), bytes};
    space_.release(old);
    std::int64_t at = 0;
    for (const EntryIndex entry : entries_of(head, unit)) {
      if (entry != kHole) {
        write(entry, Extent{old.offset_bytes + at, entry_bytes()}, {run.offset_bytes + at, entry_bytes()},
              traffic);
      }
      at += entry_bytes();
    }
    ++traffic.outgrown;
  }

  std::int64_t packed_bytes() const { return order_.empty() ? 0 : run_of(order_.back()).end_bytes(); }

  void shift(const Key& key, std::int64_t records, LayoutTraffic& traffic) {
    Unit& unit = unit_at(key.head, key.unit);
    if (unit.rank < 0) {
      unit.run = {packed_bytes(), 0};
      unit.rank = std::ssize(order_);
      order_.push_back(key);
    }
    const std::int64_t more = records * entry_bytes() - unit.run.length_bytes;
    traffic.outgrown += more > 0 && unit.run.end_bytes() < packed_bytes() ? 1 : 0;
    unit.run.length_bytes += more;
    if (more != 0) {
      first_moved_ = std::min(first_moved_, unit.rank + 1);
    }
    for (const Key& behind : std::span(order_).subspan(static_cast<std::size_t>(unit.rank) + 1)) {
      unit_at(behind.head, behind.unit).run.offset_bytes += more;
    }
  }

  std::int64_t holes_in(const Key& key) const {
    return std::ranges::count(entries_of(key.head, key.unit), kHole);
  }

  bool holes_outnumber_entries() const {
    std::int64_t holes = 0;
    for (const Key& key : order_) {
      holes += holes_in(key);
    }
    return 2 * holes * entry_bytes() > packed_bytes();
  }

  /// Leaves no hole in the units from `rank` on.
  void close_up_from(std::int64_t rank) {
    LayoutTraffic accounted_for;
    const auto first = order_.begin() + static_cast<std::ptrdiff_t>(rank);
    for (auto key = first; key != order_.end(); ++key) {
      if (holes_in(*key) > 0) {
        close_up(key->head, key->unit, accounted_for);
        if (entries_of(key->head, key->unit).empty()) {
          unit_at(key->head, key->unit).rank = -1;
        }
      }
    }
    order_.erase(std::remove_if(first, order_.end(),
                                [&](const Key& key) { return unit_at(key.head, key.unit).rank < 0; }),
                 order_.end());
    for (; rank < std::ssize(order_); ++rank) {
      const Key& key = order_[static_cast<std::size_t>(rank)];
      unit_at(key.head, key.unit).rank = rank;
    }
  }

  /// Accounts for every entry that lies elsewhere than before, whichever head it is of.
  void follow_places(LayoutTraffic& traffic) {
    for (const Key& key : order_) {
      Extent to = {run_of(key).offset_bytes, entry_bytes()};
      for (const EntryIndex entry : entries_of(key.head, key.unit)) {
        if (entry != kHole) {
          follow_place(key.head, entry, to, traffic);
        }
        to.offset_bytes += entry_bytes();
      }
    }
    reserved_bytes_ = std::max(reserved_bytes_, packed_bytes());
  }

  void follow_place(std::int64_t head, EntryIndex entry, const Extent& to, LayoutTraffic& traffic) {
    std::int64_t& offset_bytes = on_flash_[head].reach(entry, -1);
    if (offset_bytes != to.offset_bytes) {
      const Extent from = {offset_bytes, entry_bytes()};
      write(entry, from.offset_bytes < 0 ? std::nullopt : std::optional(from), to, traffic, head);
      offset_bytes = to.offset_bytes;
    }
  }

  bool shortens_in_place() const override { return !shifts_; }

  Extent record(std::int64_t head, UnitId unit, std::int64_t index) const override {
    return {run_of({head, unit}).offset_bytes + index * entry_bytes(), entry_bytes()};
  }

  std::int64_t to_page_end(std::int64_t head, UnitId unit, std::int64_t page_bytes) const override {
    return page_bytes - run_of({head, unit}).end_bytes() % page_bytes;
  }

  const Extent& run_of(const Key& key) const { return units_[key.head][key.unit].run; }
  Unit& unit_at(std::int64_t head, UnitId unit) { return units_[head].reach(unit); }

  bool shifts_;
  Indexed<std::int64_t, Indexed<UnitId, Unit>> units_;  // [heads]
  FreeSpace space_;                                     // where units are relocated
  std::vector<Key> order_;                              // where they shift
  std::int64_t first_moved_ = 0;                        // rank from which on the update moves units
  std::int64_t reserved_bytes_ = 0;                     // the most that was packed
  Indexed<std::int64_t, Indexed<EntryIndex, std::int64_t>>
      on_flash_;  // [heads]: offset, -1: none; where they shift
};

const Registration<Layout, ClusterByCluster> registered;

}  // namespace
}  // namespace kvr

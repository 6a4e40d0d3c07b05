#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/report.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// What happened to the units of one head. Scorer, Layout and the cache follow this stream and nothing else.
enum class ChangeKind {
  created,   ///< `unit` is new; its members, as Clustering::members says, are new or were pending elsewhere
  appended,  ///< `entry` joined `unit`
  split,  ///< `unit` keeps one part of its members, the new unit `other` has the rest, pending ones included
  buffered,    ///< `entry` belongs to `unit` but stays in DRAM, visible, until a later change takes it
  wants_load,  ///< `unit` asks to be read now, after this step's attention
  regrouped,  ///< every unit of the head may have other members, pending ones included; some may be new, none
              ///< goes, and one is empty only where entries were removed
  removed,    ///< `entry` left `unit`, pending or not, for good; the unit may be empty now
};

struct Change {
  ChangeKind kind;
  UnitId unit;
  UnitId other = -1;
  EntryIndex entry = -1;
};
/// In order; but `members` and `pending` answer for the state after the whole list, so a listener that asks
/// them in the middle must expect what later changes of the list did.
using ChangeList = std::vector<Change>;

/// Which units of this head have all their members in DRAM at the end of the current step. Members that were
/// pending when the step began are.
class ResidentUnits {
 public:
  virtual ~ResidentUnits() = default;
  virtual bool resident(UnitId unit) const = 0;
};

/// Groups the entries of one head into units: what is retrieved at once.
///
/// The engine calls `build` once with the prompt's entries, then for every step `append` with the new
/// entry, after attention; `loaded` follows whenever units asked for by `wants_load`, or selected by a
/// step, have come into DRAM: the selected ones before `append`, those asked for after it; `remove` wherever
/// a stage evicts. Invariants, checked by the engine: every entry handed over and not removed is a member of
/// exactly one unit or pending in exactly one; the call of `loaded` that answers a `wants_load` asks for no
/// further one. A unit's number is never given to another; a unit without members is ranked last and takes
/// nothing of a budget, and may be given members again. Every call reports what it did through `changes` and
/// what it cost through `work`. Heads are processed in parallel: an implementation keeps no state outside
/// itself.
class Clustering {
 public:
  static constexpr std::string_view kKind = "clustering";
  struct Context {
    std::int64_t head_dim;
    HeadId head;
    std::uint64_t root_seed;
  };

  virtual ~Clustering() = default;

  /// `live`: the entries of `prompt` that no stage has removed; only they come to be in units.
  virtual void build(const HeadView& prompt, const EntrySet& live, ChangeList& changes, Work& work) = 0;
  /// Of a prompt that is live as a whole.
  void build(const HeadView& prompt, ChangeList& changes, Work& work) {
    build(prompt, EntrySet::first(prompt.entries()), changes, work);
  }
  /// `entry` is the last row of `view`.
  virtual void append(EntryIndex entry, const HeadView& view, const ResidentUnits& resident,
                      ChangeList& changes, Work& work) = 0;
  virtual void loaded(std::span<const UnitId> /*units*/, const HeadView& /*view*/, ChangeList& /*changes*/,
                      Work& /*work*/) {}

  /// `entries`, ascending, leave their units for good; reported as `removed`, one change each. What does not
  /// define it cannot stand under a stage that evicts, or in a sequence that is dropped.
  virtual void remove(std::span<const EntryIndex> /*entries*/, const HeadView& /*view*/,
                      ChangeList& /*changes*/, Work& /*work*/) {
    throw PolicyFault("the clustering cannot remove entries, and a stage evicts or a sequence ends");
  }

  /// Units that there ever were.
  virtual std::int64_t unit_count() const = 0;
  /// Entries of `unit` that have a place on flash, in the order in which a cut unit gives them up (first
  /// kept).
  virtual std::span<const EntryIndex> members(UnitId unit) const = 0;
  /// Entries of `unit` that wait in DRAM for its next load.
  virtual std::span<const EntryIndex> pending(UnitId /*unit*/) const { return {}; }
  /// DRAM for what the clustering itself must keep (lists, statistics), not counting scorers' summaries.
  virtual std::int64_t dram_bytes() const = 0;
  /// Throws InternalError where what the implementation promises of its units does not hold; asked between
  /// steps. `view`: all entries handed over.
  virtual void check(const HeadView& /*view*/) const {}
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/engine/heads/selection.hpp"
#include "sim/engine/heads/stages/head_stage.hpp"
#include "sim/engine/walk/candidates.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/entry_set.hpp"

namespace kvr {

/// What the stages of a set may choose from in a step, while they narrow it: the range between the pins of
/// those that select, less what is pending there, which is attended to anyway.
class OpenEntries {
 public:
  /// A new query, before which `entries` exist: nothing is chosen yet. `stages`: null where one does not run.
  void begin(std::int64_t entries, std::span<const std::unique_ptr<HeadStage>> stages,
             const Clustering& clustering);

  /// What `stages` that select may choose from of so many entries.
  static CandidateRange range_of(std::int64_t entries, std::span<const std::unique_ptr<HeadStage>> stages);
  /// Everything live outside is pinned.
  const CandidateRange& range() const { return range_; }
  /// How many of the range are pending.
  std::int64_t pending() const;
  /// Which, ascending.
  std::vector<EntryIndex> all_pending() const;
  bool is_pending(EntryIndex entry) const;
  /// What the stage may choose: one for all query heads, or one for each where select stages before it chose
  /// for each. Valid until the next `begin` or `narrow`.
  std::vector<Candidates> of(const HeadStage& stage) const;
  /// How many entries that is at most, of `live`.
  std::int64_t count(const HeadStage& stage, const EntrySet& live) const;
  /// A select stage has chosen: later ones choose of that.
  void narrow(const HeadStage& stage);
  /// All that is attended to where `selection` was chosen, once each: what is live outside the range, of the
  /// entries that there were before and the current one; the selection; what is pending in the range.
  std::vector<EntryIndex> attended(const Selection& selection, const EntrySet& live) const;

 private:
  bool narrowed_for(const HeadStage& stage) const;

  std::int64_t entries_ = 0;
  CandidateRange range_;
  std::vector<EntryIndex> pending_;
  std::vector<std::uint8_t> settled_;              ///< [entries]: 0 where pending
  std::vector<std::vector<std::uint8_t>> chosen_;  ///< [selections][entries], between select stages
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/heads/attention/head_queries.hpp"
#include "sim/engine/heads/attention/member_head.hpp"
#include "sim/engine/heads/attention/set_rows.hpp"
#include "sim/engine/heads/kernel_times.hpp"
#include "sim/engine/heads/partition_check.hpp"
#include "sim/engine/heads/selection.hpp"
#include "sim/engine/heads/stages/head_stage.hpp"
#include "sim/engine/heads/unit_variance.hpp"
#include "sim/engine/walk/truth.hpp"
#include "sim/interfaces/budget.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {

/// The policies of the KV heads of one layer that decide together, one head or all of the layer, and what
/// they do in a step. Such a set has one clustering, one live set and one choice, and its policies see rows
/// and queries of its heads side by side (SetRows, place_queries); each head attends for itself. Sets share
/// nothing, so the methods of different sets may run at the same time.
///
/// It owns the live set: the entries that no stage has removed. Nothing else removes entries, and one that is
/// removed never comes back.
///
/// Before the first step: `begin`, evict stages of tokens, `build`, evict stages of units. One step at
/// position p, in call order: `begin_step` takes in row p; for every stage that selects or prefetches, in
/// order, `score` ranks the units of entries 0..p-1 and `choose` narrows what is attended to or guesses it,
/// or `take` does by what another stage chose; `demand` sums up what the step needs of DRAM and what was
/// guessed; `attend` attends and compares with the truth over 0..p; `follow` hands entry p to the clustering;
/// for every evict stage that fires, after `see_all`, `score` and `evict`.
class HeadPolicies {
 public:
  /// `head`: the set, counted in its layer. `members`: its heads, at least one. `stages`: those of the system
  /// in its order, null where one does not run in this layer. What the clustering, called `clustering_name`,
  /// or a scorer does wrong is told as a PolicyFault.
  HeadPolicies(HeadId head, std::vector<MemberHead> members, std::unique_ptr<Clustering> clustering,
               std::string clustering_name, std::vector<std::unique_ptr<HeadStage>> stages);

  HeadId id() const { return head_; }
  std::span<const MemberHead> members() const { return members_; }
  const Clustering& clustering() const { return *clustering_; }
  const EntrySet& live() const { return live_; }
  /// Units that have entries.
  std::int64_t occupied_units() const;
  bool wants_attention() const;

  /// Takes in the prompt, all entries captured so far: they are live. `prompt`: what of it scorers asked for,
  /// without its rows.
  void begin(const PromptView& prompt);
  /// Builds the units of the live entries.
  void build();

  bool runs(std::size_t stage) const { return stages_[stage] != nullptr; }
  /// Whether more is live than the stage lets stand.
  bool overflows(std::size_t stage) const { return live_.size() > stages_[stage]->config().overflow.entries; }
  /// Queries over the entries that exist, outside any step: `score`, `candidates`, `choose`, `take` and
  /// `demand` answer them as they would in a step. `queries` [members].
  void ask(std::span<const HeadQueries> queries);
  /// `queries` [members] of the entry that was captured last.
  void begin_step(std::span<const HeadQueries> queries);
  /// From now on stages rank all entries that exist, the current one included.
  void see_all() { visible_ = entries(); }
  /// Ranks the units of a stage that runs here.
  void score(std::size_t stage);
  /// Valid after `score`.
  HeadCandidates candidates(std::size_t stage) const;
  /// A stage that selects or prefetches chooses `budget` entries, whole units where it can; one that selects
  /// of those that stages before it chose.
  void choose(std::size_t stage, std::int64_t budget);
  /// A select stage chooses what `chosen` did in `from`, this head or its like in a layer below; where
  /// `recheck` asks for it what that one ranks best for the head's own queries.
  void take(std::size_t stage, const HeadPolicies& from, std::size_t chosen);
  void demand();
  /// `truths` [members] of the same step, or none: then nothing is judged. Judging only measures.
  void attend(std::span<HeadTruth* const> truths);
  /// The units that must be in DRAM for this step, best first, with the entries needed of each.
  const Selection& demanded() const { return demanded_; }
  /// What the layer's prefetch stage guessed of them, likewise; nothing without one.
  const Selection& guessed() const { return guessed_; }
  /// The stage that prefetches for this layer; null where there is none.
  const StageConfig* guess() const { return guess_ ? &stages_[*guess_]->config() : nullptr; }
  /// What select stages may choose from in this step; everything live outside is pinned. Without a select
  /// stage, all but the current entry.
  const CandidateRange& range() const { return range_; }
  /// The same of the entries that exist, outside any step.
  CandidateRange range_of_all() const { return range_of(entries()); }
  void follow(const ResidentUnits& resident);
  /// Units that the clustering asked for (`wants_load`) are in DRAM now; adds to `changes`.
  void follow_loads(std::span<const UnitId> units);
  /// An evict stage removes what is neither among its `budget` best entries nor pinned by it nor pending.
  void evict(std::size_t stage, std::int64_t budget);

  /// A stage that places: its `budget` best entries and its pins belong in the tier that it names.
  void place(std::size_t stage, std::int64_t budget);
  void forget_placed() { placed_.reset(); }
  /// By units of the clustering, best first, pins before them; null where no stage has placed since
  /// `forget_placed`.
  const Selection* placed() const { return placed_ ? &*placed_ : nullptr; }

  /// Of the units as they are, on average.
  double unit_variance() const { return variance_.mean(); }
  /// Of the step so far, but for what was removed.
  const ChangeList& changes() const { return changes_; }
  /// What evict stages removed in the step.
  const ChangeList& removals() const { return removals_; }
  /// Entries in DRAM whatever the cache does: pinned, pending and the current one.
  std::int64_t always_visible() const;
  /// Entries that at least one query head of the group attends to in this step.
  std::int64_t entries_read() const { return entries_read_; }
  /// What the policies cost on the phone in this step.
  const Work& score_work() const { return score_work_; }
  const Work& guess_work() const { return guess_work_; }
  const Work& update_work() const { return update_work_; }
  const KernelTimes& kernel_times() const { return times_; }
  std::int64_t representative_bytes() const;
  std::int64_t metadata_bytes() const;
  /// Throws InternalError unless every live entry is in exactly one unit and the clustering finds nothing
  /// wrong.
  void check_units() const;

 private:
  const Clustering& units_of(const HeadStage& stage) const {
    return stage.ranks_tokens() ? *stage.own_units() : *clustering_;
  }
  std::int64_t entries() const { return members_.front().store().entries(); }
  /// Rows of all members side by side, of the first `count` entries.
  HeadView rows(std::int64_t count) const { return rows_.view(members_, count); }
  HeadView visible() const { return rows(visible_); }
  void catch_up();
  template <class Act>
  void blame_clustering(Act act) const {
    blaming(
        Clustering::kKind, clustering_name_,
        [this] { return fmt::format("layer {}, head {}, {} entries", head_.layer, head_.head, entries()); },
        act);
  }
  /// What the engine, not the phone, keeps about the units.
  void observe(std::span<const Change> changes, const HeadView& view);
  void tell_scorers(std::span<const Change> changes, const HeadView& view);
  /// Of a stage that selects: what of the live entries it may choose, by selection.
  std::vector<Candidates> candidates_of(const HeadStage& stage) const;
  CandidateRange range_of(std::int64_t visible) const;
  void mark_settled();
  void choose_anew(HeadStage& stage, std::int64_t budget);
  /// Entries that a clustering keeps visible on its own account are part of what it may select.
  std::int64_t without_pending(std::int64_t budget) const {
    return std::max<std::int64_t>(0, budget - pending_candidates());
  }
  void note_choice(std::size_t stage, std::int64_t budget);
  void mark_chosen(const HeadStage& stage);
  /// What the stage chose, over all query heads, by units of the clustering.
  void sum_up(const HeadStage& stage, Selection& into) const;
  void demand_all();
  /// What is attended to besides pins: one for the group, or one for each of its query heads.
  std::span<const Selection> selections() const;
  void attend(std::size_t member, HeadTruth* truth);
  void attend_to(const Selection& selection, MemberHead& member, std::int64_t first_query,
                 std::int64_t queries);
  /// The scorers that want it, of a member's query heads.
  void tell_attention(std::size_t member, std::int64_t first_query, std::int64_t queries);
  void judge(const Selection& selection, MemberHead& member, std::int64_t query, HeadTruth& truth);
  std::vector<EntryIndex> left_over(const HeadStage& stage) const;
  void remove(std::span<const EntryIndex> entries);
  std::int64_t pending_candidates() const;

  HeadId head_;
  std::vector<MemberHead> members_;
  SetRows rows_;
  std::unique_ptr<Clustering> clustering_;
  std::string clustering_name_;
  std::vector<std::unique_ptr<HeadStage>> stages_;
  std::optional<std::size_t> last_select_;
  std::optional<std::size_t> guess_;
  PartitionCheck partition_;
  UnitVariance variance_;
  EntrySet live_;
  bool built_ = false;

  std::int64_t before_current_ = 0;
  std::int64_t visible_ = 0;  ///< entries that stages rank
  CandidateRange range_;
  SetQueries queries_;  ///< where none was asked yet and stages act, the prompt's last
  std::vector<EntryIndex> pending_;
  std::vector<std::uint8_t> settled_;              ///< [entries]: 0 where pending
  std::vector<std::vector<std::uint8_t>> chosen_;  ///< [selections][entries], between select stages
  std::vector<std::int64_t> budgets_;              ///< [stages]: what each was allotted last
  std::int64_t allotted_ = 0;                      ///< to the last select stage
  Selection demanded_;
  Selection guessed_;
  std::optional<Selection> placed_;
  std::vector<Selection> all_;  ///< one, where there is no select stage
  std::int64_t entries_read_ = 0;
  std::vector<UnitId> loaded_;
  ChangeList changes_;
  ChangeList removals_;
  Work score_work_;
  Work guess_work_;
  Work update_work_;
  KernelTimes times_;
};

}  // namespace kvr

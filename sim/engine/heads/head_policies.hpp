#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/heads/attention/head_queries.hpp"
#include "sim/engine/heads/attention/member_head.hpp"
#include "sim/engine/heads/attention/set_codec.hpp"
#include "sim/engine/heads/attention/set_rows.hpp"
#include "sim/engine/heads/charge.hpp"
#include "sim/engine/heads/choosing/open_entries.hpp"
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
/// Before the first step: `begin`, evict stages of tokens, `build`, evict stages of units, `store_prompt`.
/// One step at position p, in call order: `begin_step` takes in row p, which codecs store; for every stage
/// that selects or prefetches, in order, `score` ranks the units of entries 0..p-1 and `choose` narrows what
/// is attended to or guesses it, or `take` does by what another stage chose; `demand` sums up what the step
/// needs of DRAM and what was guessed; `attend` attends and compares with the truth over 0..p; `follow` hands
/// entry p to the clustering; for every evict stage that fires, after `see_all`, `score` and `evict`.
class HeadPolicies {
 public:
  /// `head`: the set, counted in its layer. `members`: its heads, at least one. `stages`: those of the system
  /// in its order, null where one does not run in this layer. What the clustering, called `clustering_name`,
  /// or a scorer does wrong is told as a PolicyFault. `codec`: of what the members' stores do not do.
  HeadPolicies(HeadId head, std::vector<MemberHead> members, std::unique_ptr<Clustering> clustering,
               std::string clustering_name, std::vector<std::unique_ptr<HeadStage>> stages,
               SetCodec codec = {});

  /// From now on the attention of these entries is recorded apart.
  void record_span(CandidateRange entries) { recorded_ = entries; }

  HeadId id() const { return head_; }
  std::span<const MemberHead> members() const { return members_; }
  const Clustering& clustering() const { return *clustering_; }
  const EntrySet& live() const { return live_; }
  /// Units that have entries.
  std::int64_t occupied_units() const;
  bool wants_attention() const;
  const SetCodec& codec() const { return codec_; }
  /// Of a live entry that is in a unit.
  UnitId unit_of(EntryIndex entry) const { return partition_.unit_of(entry); }

  /// Takes in the prompt, all entries captured so far: they are live. `prompt`: what of it scorers asked for,
  /// without its rows.
  void begin(const PromptView& prompt);
  /// Builds the units of the live entries.
  void build();
  /// Codecs with state fit themselves to what is live of the prompt, and store it; `prompt` as for `begin`.
  void store_prompt(const PromptView& prompt) {
    codec_.fit(members_, live_, prompt.window_queries, update_work_);
    store(update_work_);
  }

  bool runs(std::size_t stage) const { return stages_[stage] != nullptr; }
  /// Null where it does not run.
  const HeadStage* stage(std::size_t stage) const { return stages_[stage].get(); }
  /// Whether a stage that evicts or places has done so in this step.
  bool acted(std::size_t stage) const { return acted_[stage] != 0; }
  std::size_t stage_count() const { return stages_.size(); }
  /// What the step attends to is what this one chose; nothing without a stage that selects.
  const std::optional<std::size_t>& last_select() const { return last_select_; }
  /// The stage that prefetches for the layer.
  const std::optional<std::size_t>& guessing_stage() const { return guess_; }
  /// Whether more is live than the stage lets stand.
  bool overflows(std::size_t stage) const { return live_.size() > stages_[stage]->config().overflow.entries; }
  /// Queries over the entries that exist, outside any step: `score`, `candidates`, `choose`, `take` and
  /// `demand` answer them as they would in a step. `queries` [members].
  void ask(std::span<const HeadQueries> queries);
  /// `queries` [members] of the entry that was captured last; `token`: what its token is.
  void begin_step(std::span<const HeadQueries> queries, TokenClass token);
  /// The sequence takes no part in the step: nothing is demanded, nothing changes and nothing is judged.
  void rest();
  bool resting() const { return resting_; }
  /// That the sequence has decoded, the current one included.
  std::int64_t steps() const { return steps_; }
  /// It takes part again, in a prompt.
  void wake() { resting_ = false; }
  /// After `begin_step`, instead of what stages choose: the entry is read in, as of a prompt. All that is
  /// live is attended to, and nothing is asked of the memory.
  void read_in();
  /// The sequence is over: all its entries are removed, and it rests from now on.
  void end();
  /// From now on stages rank all entries that exist, the current one included.
  void see_all() { visible_ = entries(); }
  /// Ranks the units of a stage that runs here.
  void score(std::size_t stage);
  /// Valid after `score`.
  HeadCandidates candidates(std::size_t stage) const;
  /// A stage that selects or prefetches chooses `budget` entries, whole units where it can; one that selects
  /// of those that stages before it chose.
  void choose(std::size_t stage, std::int64_t budget);
  /// Valid after `choose`: the same of what the stage left.
  HeadCandidates unread(std::size_t stage) const;
  /// A stage that selects lets its scorer's summaries stand for `budget` entries that it left.
  void sketch(std::size_t stage, std::int64_t budget);
  /// A select stage chooses what `chosen` did in `from`, this head or its like in a layer below; where
  /// `recheck` asks for it what that one ranks best for the head's own queries.
  void take(std::size_t stage, const HeadPolicies& from, std::size_t chosen);
  void demand();
  /// What is attended to whatever was chosen, besides what is pending: pins and the current entry.
  std::vector<EntryIndex> pinned() const;
  /// What stages may choose from in this step; valid until entries follow.
  const OpenEntries& open() const { return open_; }
  /// `truths` [members] of the same step, or none: then nothing is judged. Judging only measures.
  void attend(std::span<HeadTruth* const> truths);
  /// Of the best entries that a query head of a member could have had within the budget, truly, those it does
  /// not attend to; best first. After `attend`.
  std::vector<EntryIndex> missed(std::size_t member, std::int64_t query, HeadTruth& truth) const;
  /// The units that must be in DRAM for this step, best first, with the entries needed of each.
  const Selection& demanded() const { return demanded_; }
  /// What the layer's prefetch stage guessed of them, likewise; nothing without one.
  const Selection& guessed() const { return guessed_; }
  /// The stage that prefetches for this layer; null where there is none.
  const StageConfig* guess() const { return guess_ ? &stages_[*guess_]->config() : nullptr; }
  /// What select stages may choose from in this step; everything live outside is pinned. Without a select
  /// stage, all but the current entry.
  const CandidateRange& range() const { return open_.range(); }
  /// The same of the entries that exist, outside any step.
  CandidateRange range_of_all() const { return OpenEntries::range_of(entries(), stages_); }
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
  RecordSum always_visible() const;
  /// Entries that at least one query head of the group attends to in this step.
  const RecordSum& entries_read() const { return entries_read_; }
  /// What the policies cost on the phone in this step, or while the prompt was read.
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
  /// The sequence has begun and not ended.
  bool there() const { return built_ && !ended_; }
  /// The same with keys where the queries meet them.
  HeadView met() const { return members_.size() == 1 ? members_.front().met(visible_) : visible(); }
  void place_keys();
  void catch_up();
  /// Of a step: what it cost and came to.
  void begin_account();
  void store(Work& work) { rows_.renew(members_, codec_.store(members_, entries(), live_, work)); }
  template <class Act>
  void blame_clustering(Act act) const {
    blaming(
        Clustering::kKind, clustering_name_,
        [this] {
          return fmt::format("{}layer {}, head {}, {} entries",
                             head_.sequence > 0 ? fmt::format("sequence {}, ", head_.sequence) : "",
                             head_.layer, head_.head, entries());
        },
        act);
  }
  /// The clustering acts, and adds what that costs to `update_work_`.
  template <class Act>
  void charge_clustering(Act act) {
    const Work before = update_work_;
    blame_clustering([&] {
      act();
      check_charge(before, update_work_);
    });
  }
  /// What the engine, not the phone, keeps about the units.
  void observe(std::span<const Change> changes, const HeadView& view);
  void tell_scorers(std::span<const Change> changes, const HeadView& view);
  void choose_anew(HeadStage& stage, std::int64_t budget);
  /// Entries that a clustering keeps visible on its own account are part of what it may select, unless the
  /// stages that select have them on top, as pins.
  std::int64_t without_pending(std::int64_t budget) const {
    return counts_pending_ ? std::max<std::int64_t>(0, budget - open_.pending()) : budget;
  }
  void note_choice(std::size_t stage, std::int64_t budget);
  /// What the stage chose, over all query heads, by units of the clustering.
  void sum_up(const HeadStage& stage, Selection& into) const;
  void demand_all();
  /// What is attended to besides pins: one for the group, or one for each of its query heads.
  std::span<const Selection> selections() const;
  void attend(std::size_t member, HeadTruth* truth);
  void attend_to(const Selection& selection, MemberHead& member, std::int64_t first_query,
                 std::int64_t queries);
  /// Adds what stands for entries that were left beside selection `selection`.
  void estimate(std::size_t selection, std::size_t member, std::int64_t first_query, std::int64_t queries);
  std::int64_t estimated(std::size_t selection) const;
  std::span<const SketchedUnit> sketched(std::size_t selection) const {
    return last_select_ && !reads_in_ ? stages_[*last_select_]->sketched(selection)
                                      : std::span<const SketchedUnit>();
  }
  /// The scorers that want it, of a member's query heads.
  void tell_attention(std::size_t member, std::int64_t first_query, std::int64_t queries);
  void judge(std::size_t selection, MemberHead& member, std::int64_t query, HeadTruth& truth);
  /// By a query head of `member`; `pending`: in the range.
  Attended attended_to(std::size_t selection, const MemberHead& member,
                       std::span<const EntryIndex> pending) const;
  std::vector<EntryIndex> left_over(const HeadStage& stage) const;
  void remove(std::span<const EntryIndex> entries);

  HeadId head_;
  std::vector<MemberHead> members_;
  SetCodec codec_;
  SetRows rows_;
  std::unique_ptr<Clustering> clustering_;
  std::string clustering_name_;
  std::vector<std::unique_ptr<HeadStage>> stages_;
  std::optional<std::size_t> last_select_;
  std::optional<std::size_t> guess_;
  bool counts_pending_ = true;
  PartitionCheck partition_;
  UnitVariance variance_;
  EntrySet live_;
  bool built_ = false;

  std::int64_t before_current_ = 0;
  std::int64_t visible_ = 0;  ///< entries that stages rank
  OpenEntries open_;
  SetQueries queries_;                 ///< where none was asked yet and stages act, the prompt's last
  std::vector<std::int64_t> budgets_;  ///< [stages]: what each was allotted last
  std::vector<std::uint8_t> acted_;    ///< [stages]
  std::int64_t allotted_ = 0;          ///< to the last select stage
  CandidateRange recorded_;            ///< entries whose attention is recorded apart
  Selection demanded_;
  Selection guessed_;
  std::int64_t steps_ = 0;
  bool resting_ = false;
  bool ended_ = false;
  bool reads_in_ = false;
  std::optional<Selection> placed_;
  std::vector<Selection> all_;  ///< one, where no select stage chooses
  RecordSum entries_read_;
  std::vector<UnitId> loaded_;
  ChangeList changes_;
  ChangeList removals_;
  Work score_work_;
  Work guess_work_;
  Work update_work_;
  KernelTimes times_;
};

}  // namespace kvr

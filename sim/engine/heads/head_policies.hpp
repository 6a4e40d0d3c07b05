#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/head_store.hpp"
#include "sim/engine/heads/partition_check.hpp"
#include "sim/engine/heads/selection.hpp"
#include "sim/engine/heads/unit_variance.hpp"
#include "sim/engine/walk/truth.hpp"
#include "sim/interfaces/budget.hpp"
#include "sim/interfaces/clustering.hpp"
#include "sim/interfaces/scorer.hpp"

namespace kvr {

/// How a stage ranks and takes units, beside its scorer and its budget.
struct SelectRules {
  Fold fold = Fold::mean;
  Norm norm = Norm::none;
  LastUnit last_unit = LastUnit::cut;
  std::int64_t sinks = 0;
  std::int64_t recent = 0;
};
SelectRules select_rules_of(const StageConfig& stage);

/// What one head's step came to, averaged over the query heads of its group.
struct HeadQuality {
  double recall = 0.0;         ///< of the true best candidates, as many as the budget allows
  double mass = 0.0;           ///< true softmax over all that was attended to
  double relative_mass = 0.0;  ///< mass over that of the best selection of as many entries
  double output_error = 0.0;   ///< ||o_selected - o|| / ||o||
  double selected = 0.0;       ///< entries chosen (pending ones included), without pins
  double attended = 0.0;       ///< entries attention saw, pins and the current one included
};

/// Seconds of this machine that the kernels of a step took.
struct KernelTimes {
  double score_s = 0.0;
  double update_s = 0.0;
  double attention_s = 0.0;
  double truth_s = 0.0;

  KernelTimes& operator+=(const KernelTimes& other);
};

/// The policies of one KV head of one layer and what they do in a step. Heads share nothing, so the methods
/// of different heads may run at the same time.
///
/// One step at position p, in call order: `begin_step` takes in row p; `score` ranks the units of entries
/// 0..p-1; `select` chooses; `judge` attends to what is chosen and compares with the truth over 0..p;
/// `follow` hands entry p to the clustering.
class HeadPolicies {
 public:
  HeadPolicies(HeadId head, std::int64_t group, double attention_scale, HeadStore store,
               std::unique_ptr<Clustering> clustering, std::unique_ptr<Scorer> scorer,
               const SelectRules& rules);

  const Clustering& clustering() const { return *clustering_; }

  /// Builds the units from all entries captured so far.
  void build();
  /// A query over the entries that exist, outside any step: `score`, `candidates` and `select` answer it as
  /// they would in a step. `queries` [group, head_dim].
  void ask(std::span<const Half> queries);
  /// `queries` [group, head_dim] of the entry that was captured last.
  void begin_step(std::span<const Half> queries);
  void score();
  /// Valid after `score`.
  HeadCandidates candidates() const;
  void select(std::int64_t budget);
  /// Only measures: nothing that follows depends on it. `truth` of the same step.
  void judge(std::int64_t budget, HeadTruth& truth);
  /// The units that must be in DRAM for this step, best first, with the entries needed of each.
  const Selection& demanded() const { return demanded_; }
  /// Candidates of this step; everything outside is pinned.
  const CandidateRange& range() const { return range_; }
  void follow(const ResidentUnits& resident);
  /// Units that the clustering asked for (`wants_load`) are in DRAM now; adds to `changes`.
  void follow_loads(std::span<const UnitId> units);

  const HeadQuality& quality() const { return quality_; }
  /// Of the units as they are, on average.
  double unit_variance() const { return variance_.mean(); }
  const ChangeList& changes() const { return changes_; }
  /// Entries in DRAM whatever the cache does: pinned, pending and the current one.
  std::int64_t always_visible() const { return before_current_ + 1 - range_.size() + pending_candidates(); }
  /// Entries that at least one query head of the group attends to in this step.
  std::int64_t entries_read() const {
    return static_cast<std::int64_t>(demanded_.entries.size()) + always_visible();
  }
  /// What the policies cost on the phone in this step.
  const Work& score_work() const { return score_work_; }
  const Work& update_work() const { return update_work_; }
  const KernelTimes& kernel_times() const { return times_; }
  std::int64_t representative_bytes() const { return scorer_->dram_bytes(); }
  std::int64_t metadata_bytes() const { return clustering_->dram_bytes(); }
  /// Throws InternalError unless every entry is in exactly one unit and the clustering finds nothing wrong.
  void check_units() const;

 private:
  /// What the engine, not the phone, keeps about the units.
  void observe(std::span<const Change> changes, const HeadView& view);
  void collect_attended(const Selection& selection);
  /// Attention of consecutive query heads of the group over attended_: they share one selection.
  void attend_selected(std::int64_t first_query, std::int64_t queries);
  void judge_query(const Selection& selection, std::int64_t query, std::int64_t budget, HeadTruth& truth);
  void mark_attended();
  double pinned_mass(std::span<const float> probabilities) const;
  /// Share of `best`, in order, that was attended to. Of candidates that weigh as much as the least of the
  /// best any will do: where logits lie far apart, most weights are zero in a float.
  double recall_of(std::span<const EntryIndex> best, std::span<const float> probabilities) const;
  std::int64_t pending_candidates() const;

  HeadId head_;
  std::int64_t group_;
  std::int64_t head_dim_;
  float attention_scale_;
  HeadStore store_;
  std::unique_ptr<Clustering> clustering_;
  std::unique_ptr<Scorer> scorer_;
  SelectRules rules_;
  PartitionCheck partition_;
  UnitVariance variance_;

  std::int64_t before_current_ = 0;
  CandidateRange range_;
  std::vector<float> queries_;
  std::vector<float> scores_;
  std::vector<float> folded_;
  std::vector<float> budget_scores_;
  std::vector<std::int32_t> sizes_;
  std::vector<EntryIndex> pending_;
  std::vector<Selection> selections_;
  Selection demanded_;
  std::vector<EntryIndex> attended_;
  std::vector<UnitId> loaded_;
  std::vector<float> selected_out_;
  std::vector<std::uint8_t> marked_;
  ChangeList changes_;
  HeadQuality quality_;
  Work score_work_;
  Work update_work_;
  KernelTimes times_;
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/figure_notes.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/heads/prompt/prompt_queries.hpp"
#include "sim/engine/heads/stages/stages.hpp"
#include "sim/engine/memory/access_record.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/dram_budget.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/memory/tiers/tier_levels.hpp"
#include "sim/engine/recording/policy_figures.hpp"
#include "sim/engine/recording/units/unit_recorder.hpp"
#include "sim/engine/recording/update_reuse.hpp"
#include "sim/engine/timing/machine.hpp"
#include "sim/engine/timing/prefill/prefill_account.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/engine/walk/batch_walk.hpp"
#include "sim/results/writer.hpp"

namespace kvr {

/// One point on its way along a walk.
class PointReplay {
 public:
  /// `accesses` may be null; see CacheSet.
  PointReplay(const RunConfig& config, BatchWalk& walk, AccessRecord* accesses);
  /// The sequences that are there from the first step on read their prompts.
  void begin_prompts(std::span<const std::int64_t> sequences);
  /// Of sequences that begin; others rest. A fork's is charged to nobody.
  void load_prompt(std::span<const std::int64_t> sequences);
  /// Before the first token of a turn and after its last.
  void begin_turn(const Turn& turn);
  void end_turn(const Turn& turn);
  /// Takes in a token of a turn that decodes nothing.
  void read_in();
  /// What has been read in is whole: stages of the prompt's end act on it.
  void end_prefill();
  /// What the policies do at the walk's position, without judging them and without the machine.
  void step_policies(std::int64_t step);
  /// `timeline` may be null, here and in `begin`.
  /// A policy's fault says in which step it was, here and in `step_policies`.
  void step(std::int64_t step, Timeline* timeline);
  void begin(Timeline* timeline);
  PointResult finish();

 private:
  /// Of the first tier, then of those below.
  std::vector<CacheUse> cache_uses();
  void make_heads();
  void make_layers();
  /// Of one sequence, where records are of one size.
  Layout::Context layout_context() const;
  BatchLayout make_layout(std::int64_t layer);
  void check_space() const;
  void refuse_empty_heads() const;
  void run_policies(bool judge);
  void run_step(std::int64_t step, Timeline* timeline);
  void show(std::int64_t step, const StepTimes& times, Timeline& timeline) const;
  void begin_heads();
  /// Brings in the tokens of the sequences that take part in the turn.
  void begin_step();
  /// `judge`: also compares with the truth.
  void attend(bool judge);
  /// The working buffer has room for what the layer that needs most brings in, and as much for each layer
  /// that is read ahead.
  void move_entries();
  /// What a layer of the step is about to ask the memory for, where that is recorded.
  void look_at_choices(std::int64_t layer);
  void evict();
  void drop(const Turn& turn);
  void share_prefix(const Turn& turn);
  /// Where it is charged: what is read in is summed up, and then laid on the machine. `tokens` [sequences].
  void begin_prefill(std::span<const std::int64_t> tokens);
  void charge_prefill();
  /// The others rest.
  void set_running(std::span<const std::int64_t> sequences);
  /// For all sets that do not rest, in parallel.
  void for_running(const std::function<void(std::int64_t set)>& act);
  /// What was removed outside a step leaves the memory.
  void forget();
  void place_prompt();
  void move_placed();
  /// What a head has in a tier, in bytes of the whole model.
  double held_in(std::string_view tier, const HeadPolicies& head) const;
  /// Takes stock of what is in DRAM and gives the caches what it leaves.
  void keep_to_dram(std::int64_t buffered_bytes);
  void record(std::int64_t step, const StepTimes& times);
  /// Of the first sequence that takes part.
  std::int64_t position() const { return walk_.sequence(running_.front()).entries() - 1; }

  /// Of a layer, of all sequences: KV heads, or as many as sequences where they decide together.
  std::int64_t sets() const { return walk_.heads_of_layer() / members_; }
  std::span<HeadPolicies> heads_of(std::int64_t layer) {
    return std::span(heads_).subspan(static_cast<std::size_t>(layer * sets()),
                                     static_cast<std::size_t>(sets()));
  }

  const RunConfig& config_;
  BatchWalk& walk_;
  Machine machine_;
  Stages stages_;
  std::int64_t members_;             ///< KV heads of a set
  std::vector<HeadPolicies> heads_;  ///< [layers * sets]
  CacheSet caches_;
  TierLevels tiers_;
  DramBudget dram_budget_;
  std::vector<LayerMemory> memories_;
  std::vector<HeadResidency*> residencies_;
  std::vector<const Clustering*> clusterings_;
  std::optional<PromptQueries> prompt_queries_;  ///< where the layout wants co-retrieval
  std::int64_t buffered_bytes_ = 0;              ///< in the step, see `move_entries`
  DramUse dram_use_;                             ///< at the end of the step
  std::vector<std::int64_t> running_;            ///< sequences that take part in the turn
  std::int64_t turn_ = -1;
  std::optional<PrefillAccount> prefill_;  ///< while one is summed up
  std::int64_t prefills_ = 0;              ///< that were charged
  std::vector<UpdateReuse> reuses_;        ///< [layers * sets]
  PointData data_;
  PolicyFigures figures_;
  std::unique_ptr<UnitRecorder> units_;    ///< where they are recorded in some steps
  UnitRecorder* units_of_step_ = nullptr;  ///< in this one
  std::size_t timeline_point_ = 0;
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/heads/prompt/prompt_queries.hpp"
#include "sim/engine/heads/stages/stages.hpp"
#include "sim/engine/memory/access_record.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/dram_budget.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/memory/tiers/tier_levels.hpp"
#include "sim/engine/recording/update_reuse.hpp"
#include "sim/engine/timing/machine.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/engine/walk/trace_walk.hpp"
#include "sim/results/writer.hpp"

namespace kvr {

/// One point on its way along a walk.
class PointReplay {
 public:
  /// `accesses` may be null; see CacheSet.
  PointReplay(const RunConfig& config, TraceWalk& walk, AccessRecord* accesses);
  void load_prompt();
  /// What the policies do at the walk's position, without judging them and without the machine.
  void step_policies(std::int64_t step);
  /// `timeline` may be null, here and in `begin`.
  /// A policy's fault says in which step it was, here and in `step_policies`.
  void step(std::int64_t position, Timeline* timeline);
  void begin(Timeline* timeline);
  PointResult finish();

 private:
  void make_heads();
  void make_layers();
  void check_space() const;
  void refuse_empty_heads() const;
  void run_policies(std::int64_t step, bool judge);
  void run_step(std::int64_t step, std::int64_t position, Timeline* timeline);
  void begin_heads();
  void select();
  /// `judge`: also compares with the truth.
  void attend(bool judge);
  /// The working buffer has room for what the layer that needs most brings in, and as much for each layer
  /// that is read ahead.
  void move_entries();
  void evict(std::int64_t step);
  void place_prompt();
  void move_placed();
  /// What a head has in a tier, in bytes of the whole model.
  double held_in(std::string_view tier, const HeadPolicies& head) const;
  /// Takes stock of what is in DRAM and gives the caches what it leaves.
  void keep_to_dram(std::int64_t buffered_entries);
  void record(std::int64_t step, std::int64_t position, const StepTimes& times);

  /// Of a layer: its KV heads, or one where they decide together.
  std::int64_t sets() const { return walk_.kv_heads() / members_; }
  std::span<HeadPolicies> heads_of(std::int64_t layer) {
    return std::span(heads_).subspan(static_cast<std::size_t>(layer * sets()),
                                     static_cast<std::size_t>(sets()));
  }

  const RunConfig& config_;
  TraceWalk& walk_;
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
  std::int64_t buffered_entries_ = 0;            ///< in the step, see `move_entries`
  DramUse dram_use_;                             ///< at the end of the step
  std::vector<UpdateReuse> reuses_;              ///< [layers * sets]
  PointData data_;
  std::size_t timeline_point_ = 0;
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/walk/batch_walk.hpp"
#include "sim/engine/walk/workers.hpp"
#include "sim/interfaces/budget.hpp"

namespace kvr {

/// The stages of a system: lets heads rank their units, asks the budgets, and lets the heads choose or
/// remove. `heads` are always those of whole layers, in order, and those that rest are passed over; ranking
/// and choosing run in parallel.
class Stages {
 public:
  /// Throws InputError where a stage asks for what cannot be done or what the trace does not have.
  Stages(const RunConfig& config, const BatchWalk& walk);

  /// The stages of one set of heads; null for those that do not run in its layer.
  std::vector<std::unique_ptr<HeadStage>> of_head(HeadId head) const;
  /// What the scorers and the queries of the prompt's end need of the trace, all together.
  const TraceNeeds& needs() const { return needs_; }
  /// Of each sequence.
  std::span<const std::unique_ptr<Budget>> budgets(std::size_t stage) const { return budgets_[stage]; }

  /// Captured layers in which a stage wants the queries that the layer below speculates on.
  std::vector<std::int64_t> speculating_layers() const;
  /// The lowest captured layer whose heads `select` needs beside those of `layer`.
  std::int64_t lowest_for(std::int64_t layer) const;
  /// How many layers ahead of its own any layer's entries are read.
  std::int64_t most_lead() const;

  /// All stages that select, each of what the one before it chose, or guess what will be, for heads that were
  /// asked.
  void select(std::span<HeadPolicies> heads, Workers& workers) const;
  /// Those that evict when a prompt has been read, and rank `units`.
  void evict_prompt(StageUnits units, std::span<HeadPolicies> heads, Workers& workers) const;
  /// Bytes of the whole model that a head stands for in the tier of that name.
  using Held = std::function<double(std::string_view tier, const HeadPolicies& head)>;
  /// Those that evict after a step. Returns whether any does.
  bool evict(std::span<HeadPolicies> heads, Workers& workers, const Held& held) const;
  /// Those that place, likewise, or when the prompt has been read.
  bool place(std::span<HeadPolicies> heads, Workers& workers, const Held& held) const;
  bool place_prompt(std::span<HeadPolicies> heads, Workers& workers) const;

 private:
  using Act = std::function<void(HeadPolicies&, std::int64_t entries)>;
  /// What decides on which heads a stage acts after a step; empty: on all, as at a prompt's end.
  struct When {
    Held held;
    std::function<bool(const HeadPolicies&)> is_due;
  };

  const StageConfig& stage_config(std::size_t stage) const { return config_->system.stages[stage]; }
  void take(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const;
  void run(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const Act& act,
           const When& when = {}) const;
  /// The heads that the stage acts on.
  std::vector<HeadPolicies*> running(std::size_t stage, std::span<HeadPolicies> heads,
                                     const When& when) const;
  /// [heads]: whether what its scope holds in the tier of the stage's overflow exceeds the scope's share.
  std::vector<bool> overflowing(const StageConfig& stage, std::span<const HeadPolicies> heads,
                                const Held& held) const;
  bool act_after(Effect effect, std::span<HeadPolicies> heads, Workers& workers, const Held& held) const;
  /// On all entries that exist: a stage that evicts or places.
  void act(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const When& when = {}) const;
  void evict_by_layers(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const;
  void sketch(std::size_t stage, std::span<HeadPolicies* const> heads, Workers& workers) const;
  /// A budget is divided among the heads of one sequence, so each has its own; one across the batch is the
  /// first's.
  using SequenceBudgets = std::vector<std::unique_ptr<Budget>>;
  SequenceBudgets make_budgets(const StageConfig& stage, const ComponentChoice& choice) const;
  /// What `budgets`, of a stage's choice or of its estimates, give each of `heads`, of the candidates that it
  /// has.
  using CandidatesOf = HeadCandidates (HeadPolicies::*)(std::size_t stage) const;
  std::vector<std::int64_t> allot(std::size_t stage, std::span<HeadPolicies* const> heads,
                                  const ComponentChoice& choice, const SequenceBudgets& budgets,
                                  CandidatesOf candidates_of) const;
  /// To heads of one sequence.
  std::vector<std::int64_t> allot(std::size_t stage, std::span<const HeadCandidates> heads,
                                  const ComponentChoice& choice, Budget& budget) const;
  /// The heads [first, last) that the budget of head `next` is divided among; those from it on are allotted.
  struct ScopeRange {
    std::size_t first;
    std::size_t last;
  };
  ScopeRange scope_of(std::size_t stage, std::span<const HeadCandidates> heads, std::size_t next) const;

  const RunConfig* config_;
  const BatchWalk* walk_;
  std::int64_t sets_;  ///< of a sequence's layer: its KV heads, or one where they decide together
  std::vector<SequenceBudgets> budgets_;    ///< of each stage
  std::vector<SequenceBudgets> estimates_;  ///< of each stage; none where it does not estimate
  TraceNeeds needs_;
};

}  // namespace kvr

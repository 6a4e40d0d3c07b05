// A stage, over the heads of its layers:
//
//   every head, in parallel:  rank its units
//   head by head, or layer by layer as the budget's scope is:  ask the budget
//   every head, in parallel:  choose within what it was allotted; or remove all that is not chosen

#include "sim/engine/heads/stages/stages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/heads/stages/stage_check.hpp"
#include "sim/engine/walk/trace_demands.hpp"

namespace kvr {
namespace {

std::unique_ptr<Scorer> make_scorer(const StageConfig& stage, const RunConfig& config, const TraceWalk& walk,
                                    HeadId head) {
  const trace::Geometry& g = walk.trace().header().geometry;
  const std::int64_t heads = config.system.set_size(walk.kv_heads());
  return Registry<Scorer>::instance().create(stage.scorer.type, stage.scorer.values,
                                             {heads * g.head_dim, heads * g.group(), g.attention_scale, head,
                                              static_cast<std::uint64_t>(config.seed), heads});
}

}  // namespace

Stages::Stages(const RunConfig& config, const TraceWalk& walk)
    : config_(&config), walk_(&walk), sets_(walk.kv_heads() / config.system.set_size(walk.kv_heads())) {
  check_stages(config, walk.trace());
  for (const StageConfig& stage : config.system.stages) {
    budgets_.push_back(Registry<Budget>::instance().create(
        stage.budget.type, stage.budget.values,
        {walk.layers(), sets_, walk.steps().first_position, walk.trace().header().geometry.layers}));
    try {
      need(stage);
    } catch (const InputError& error) {  // parameters that do not fit the trace
      throw config.placed(fmt::format("system.stages.{}.scorer", budgets_.size() - 1), error);
    }
  }
  check_needs(needs_, config, walk.trace());
}

void Stages::need(const StageConfig& stage) {
  if (stage.takes()) {
    return;
  }
  const auto scorer = make_scorer(stage, *config_, *walk_, walk_->head_id(0));
  const TraceNeeds needs = scorer->needs();
  const bool last_query =
      scorer->asks_queries() && (stage.at_prompt_end || stage.queries == Queries::last_step);
  needs_.prompt_attention_sums |= needs.prompt_attention_sums;
  needs_.prompt_window =
      std::max({needs_.prompt_window, needs.prompt_window, std::int64_t{last_query ? 1 : 0}});
}

std::vector<std::int64_t> Stages::speculating_layers() const {
  std::vector<std::int64_t> layers;
  for (std::int64_t layer = 0; layer < walk_->layers(); ++layer) {
    const bool wanted = std::ranges::any_of(config_->system.stages, [&](const StageConfig& stage) {
      return stage.speculates() && runs_in(stage, layer, walk_->trace().header());
    });
    if (wanted) {
      layers.push_back(layer);
    }
  }
  return layers;
}

std::int64_t Stages::lowest_for(std::int64_t layer) const {
  const trace::Header& header = walk_->trace().header();
  std::int64_t lowest = layer;
  for (std::int64_t one = layer; one >= lowest; --one) {  // what is below may take from further below
    for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
      if (stage_config(stage).takes() && runs_in(stage_config(stage), one, header)) {
        lowest = std::min(lowest, source_of(*config_, stage, one, header).layer);
      }
    }
  }
  return lowest;
}

std::int64_t Stages::most_lead() const {
  std::int64_t most = 0;
  for (const StageConfig& stage : config_->system.stages) {
    most = std::max(most, stage.effect == Effect::prefetch ? stage.lead_layers : 0);
  }
  return most;
}

std::vector<std::unique_ptr<HeadStage>> Stages::of_head(HeadId head) const {
  const trace::Header& header = walk_->trace().header();
  const std::int64_t members = config_->system.set_size(walk_->kv_heads());
  std::vector<std::unique_ptr<HeadStage>> stages;
  for (const StageConfig& stage : config_->system.stages) {
    if (!runs_in(stage, head.layer, header)) {
      stages.push_back(nullptr);
      continue;
    }
    std::unique_ptr<Clustering> tokens;
    if (stage.units == StageUnits::token && !stage.takes()) {
      tokens = Registry<Clustering>::instance().create(
          "token", {}, {members * header.geometry.head_dim, head, static_cast<std::uint64_t>(config_->seed)});
    }
    stages.push_back(std::make_unique<HeadStage>(
        stage, walk_->steps().first_position, head, members * header.geometry.group(), std::move(tokens),
        stage.takes() ? nullptr : make_scorer(stage, *config_, *walk_, head)));
  }
  return stages;
}

void Stages::select(std::span<HeadPolicies> heads, Workers& workers) const {
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    if (stage_config(stage).takes()) {
      take(stage, heads, workers);
    } else if (stage_config(stage).chooses()) {
      run(stage, heads, workers,
          [stage](HeadPolicies& head, std::int64_t entries) { head.choose(stage, entries); });
    }
  }
  for (HeadPolicies& head : heads) {
    head.demand();
  }
}

void Stages::take(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const {
  const trace::Header& header = walk_->trace().header();
  workers.for_each(std::ssize(heads), [&](std::int64_t i) {
    HeadPolicies& head = heads[static_cast<std::size_t>(i)];
    if (head.runs(stage)) {
      const StageSource from = source_of(*config_, stage, head.id().layer, header);
      const std::int64_t below = (head.id().layer - from.layer) * sets_;
      head.take(stage, heads[static_cast<std::size_t>(i - below)], from.stage);
    }
  });
}

void Stages::evict_prompt(StageUnits units, std::span<HeadPolicies> heads, Workers& workers) const {
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    const StageConfig& config = stage_config(stage);
    if (config.effect != Effect::evict || config.units != units) {
      continue;
    }
    if (config.at_layer_end) {
      evict_by_layers(stage, heads, workers);
    } else if (config.at_prompt_end) {
      act(stage, heads, workers);
    }
  }
}

/// After every so many layers of the model and after the last, on all that were read by then; where none of
/// those between two times is captured there is nothing new to act on.
void Stages::evict_by_layers(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const {
  const auto& numbers = walk_->trace().header().captured_layers;
  const std::int64_t every = stage_config(stage).every;
  for (std::size_t seen = 1; seen <= numbers.size(); ++seen) {
    if (seen == numbers.size() || numbers[seen] / every != numbers[seen - 1] / every) {
      act(stage, heads.first(seen * static_cast<std::size_t>(sets_)), workers);
    }
  }
}

bool Stages::evict(std::int64_t step, std::span<HeadPolicies> heads, Workers& workers,
                   const Held& held) const {
  return act_after(Effect::evict, step, heads, workers, held);
}

bool Stages::place(std::int64_t step, std::span<HeadPolicies> heads, Workers& workers,
                   const Held& held) const {
  std::ranges::for_each(heads, &HeadPolicies::forget_placed);
  return act_after(Effect::place, step, heads, workers, held);
}

bool Stages::place_prompt(std::span<HeadPolicies> heads, Workers& workers) const {
  bool fired = false;
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    if (stage_config(stage).effect == Effect::place && stage_config(stage).at_prompt_end) {
      act(stage, heads, workers);
      fired = true;
    }
  }
  return fired;
}

bool Stages::act_after(Effect effect, std::int64_t step, std::span<HeadPolicies> heads, Workers& workers,
                       const Held& held) const {
  bool fired = false;
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    const StageConfig& config = stage_config(stage);
    if (config.effect == effect && config.at_step && (step + 1) % config.every == 0) {
      act(stage, heads, workers, held);
      fired = true;
    }
  }
  return fired;
}

void Stages::act(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const Held& held) const {
  for (HeadPolicies& head : heads) {
    head.see_all();
  }
  const bool places = stage_config(stage).effect == Effect::place;
  run(
      stage, heads, workers,
      [stage, places](HeadPolicies& head, std::int64_t entries) {
        places ? head.place(stage, entries) : head.evict(stage, entries);
      },
      held);
}

std::vector<bool> Stages::overflowing(const StageConfig& stage, std::span<const HeadPolicies> heads,
                                      const Held& held) const {
  if (stage.overflow.tier.empty()) {
    return std::vector<bool>(heads.size(), true);
  }
  const double share = static_cast<double>(stage.overflow.bytes) / static_cast<double>(heads.size());
  const std::size_t scope = stage.scope == Scope::head    ? 1
                            : stage.scope == Scope::layer ? static_cast<std::size_t>(sets_)
                                                          : heads.size();
  std::vector<bool> exceeded;
  while (held && exceeded.size() < heads.size()) {
    double bytes = 0.0;
    for (const HeadPolicies& head : heads.subspan(exceeded.size(), scope)) {
      bytes += held(stage.overflow.tier, head);
    }
    exceeded.insert(exceeded.end(), scope, bytes > share * static_cast<double>(scope));
  }
  exceeded.resize(heads.size(), false);  // while the prompt is read tiers hold nothing
  return exceeded;
}

std::vector<HeadPolicies*> Stages::running(std::size_t stage, std::span<HeadPolicies> heads,
                                           const Held& held) const {
  const StageConfig& config = stage_config(stage);
  const std::vector<bool> exceeded = overflowing(config, heads, held);
  std::vector<HeadPolicies*> running;
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const bool few = config.overflow.entries > 0 && heads[i].runs(stage) && !heads[i].overflows(stage);
    if (heads[i].runs(stage) && exceeded[i] && !few) {
      running.push_back(&heads[i]);
    }
  }
  return running;
}

void Stages::run(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const Act& act,
                 const Held& held) const {
  const std::vector<HeadPolicies*> acting = running(stage, heads, held);
  const auto at = [&acting](std::int64_t i) -> HeadPolicies& { return *acting[static_cast<std::size_t>(i)]; };
  workers.for_each(std::ssize(acting), [&](std::int64_t i) { at(i).score(stage); });
  const std::vector<std::int64_t> allotted = allot(stage, acting);
  workers.for_each(std::ssize(acting),
                   [&](std::int64_t i) { act(at(i), allotted[static_cast<std::size_t>(i)]); });
}

std::vector<std::int64_t> Stages::allot(std::size_t stage, std::span<HeadPolicies* const> heads) const {
  std::vector<HeadCandidates> candidates;
  for (const HeadPolicies* head : heads) {
    candidates.push_back(head->candidates(stage));
    candidates.back().layer_number =
        walk_->trace().header().captured_layers[static_cast<std::size_t>(head->id().layer)];
  }
  std::vector<std::int64_t> allotted;
  while (allotted.size() < heads.size()) {
    const ScopeRange scope = scope_of(stage, candidates, allotted.size());
    std::vector<std::int64_t> entries(scope.last - scope.first);
    budgets_[stage]->allot(std::span(candidates).subspan(scope.first, entries.size()), entries);
    allotted.insert(allotted.end(),
                    entries.begin() + (std::ssize(allotted) - static_cast<std::ptrdiff_t>(scope.first)),
                    entries.end());
  }
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (allotted[i] < 0) {
      throw PolicyFault(fmt::format("budget '{}': layer {}, head {} is allotted {} entries",
                                    stage_config(stage).budget.type, candidates[i].layer, candidates[i].head,
                                    allotted[i]));
    }
  }
  return allotted;
}

/// A stage that evicts acts on all layers at once, so it has seen them all.
Stages::ScopeRange Stages::scope_of(std::size_t stage, std::span<const HeadCandidates> heads,
                                    std::size_t next) const {
  const StageConfig& config = stage_config(stage);
  const auto end_of_layer = [&] {
    return static_cast<std::size_t>(
        std::ranges::find_if(heads.subspan(next),
                             [&](const HeadCandidates& head) { return head.layer != heads[next].layer; }) -
        heads.begin());
  };
  switch (config.scope) {
    case Scope::head:
      return {next, next + 1};
    case Scope::layer:
      return {next, end_of_layer()};
    case Scope::layers_seen:
      return config.chooses() ? ScopeRange{0, end_of_layer()} : ScopeRange{0, heads.size()};
    case Scope::model:
      return {0, heads.size()};
  }
  throw InternalError("no such scope");
}

}  // namespace kvr

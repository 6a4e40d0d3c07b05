// A stage, over the heads of its layers:
//
//   every head, in parallel:  rank its units
//   head by head, or layer by layer as the budget's scope is:  ask the budget
//   every head, in parallel:  choose within what it was allotted; or remove all that is not chosen

#include "sim/engine/heads/stages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/walk/trace_demands.hpp"

namespace kvr {
namespace {

std::unique_ptr<Scorer> make_scorer(const StageConfig& stage, const RunConfig& config, const TraceWalk& walk,
                                    HeadId head) {
  const trace::Geometry& g = walk.trace().header().geometry;
  return Registry<Scorer>::instance().create(
      stage.scorer.type, stage.scorer.values,
      {g.head_dim, g.group(), g.attention_scale, head, static_cast<std::uint64_t>(config.seed)});
}

}  // namespace

Stages::Stages(const RunConfig& config, const TraceWalk& walk) : config_(&config), walk_(&walk) {
  check(config);
  for (const StageConfig& stage : config.system.stages) {
    budgets_.push_back(
        Registry<Budget>::instance().create(stage.budget.type, stage.budget.values,
                                            {walk.layers(), walk.kv_heads(), walk.steps().first_position}));
    const auto scorer = make_scorer(stage, config, walk, walk.head_id(0));
    const TraceNeeds needs = scorer->needs();
    needs_.speculated_queries |= needs.speculated_queries;
    needs_.prompt_attention_sums |= needs.prompt_attention_sums;
    const std::int64_t last_query = stage.at_prompt_end && scorer->asks_queries() ? 1 : 0;
    needs_.prompt_window = std::max({needs_.prompt_window, needs.prompt_window, last_query});
  }
  check_needs(needs_, config, walk.trace());
}

void Stages::check(const RunConfig& config) const {
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < config.system.stages.size(); ++i) {
    const StageConfig& stage = config.system.stages[i];
    const auto place = [&](std::string_view key) {
      return config.place(fmt::format("system.stages.{}.{}", i, key));
    };
    if (stage.effect == Effect::select && (stage.at_prompt_end || !stage.at_step)) {
      problems.push_back(
          fmt::format("{}: a stage that selects acts in steps alone; allowed: step", place("when")));
    }
    if (stage.effect == Effect::select && stage.every > 1) {
      problems.push_back(fmt::format("{}: {} for a stage that selects, which acts in every step; allowed: 1",
                                     place("every"), stage.every));
    }
    if (stage.every > 1 && !stage.at_step) {
      problems.push_back(fmt::format("{}: {} for a stage that does not act in steps; allowed: 1",
                                     place("every"), stage.every));
    }
  }
  if (!problems.empty()) {
    throw InputError(problems);
  }
}

std::vector<std::unique_ptr<HeadStage>> Stages::of_head(HeadId head) const {
  const trace::Header& header = walk_->trace().header();
  const std::int64_t layer = header.captured_layers[static_cast<std::size_t>(head.layer)];
  std::vector<std::unique_ptr<HeadStage>> stages;
  for (const StageConfig& stage : config_->system.stages) {
    if (!stage.layers.contains(layer)) {
      stages.push_back(nullptr);
      continue;
    }
    std::unique_ptr<Clustering> tokens;
    if (stage.units == StageUnits::token) {
      tokens = Registry<Clustering>::instance().create(
          "token", {}, {header.geometry.head_dim, head, static_cast<std::uint64_t>(config_->seed)});
    }
    stages.push_back(std::make_unique<HeadStage>(stage, walk_->steps().first_position, head,
                                                 header.geometry.group(), std::move(tokens),
                                                 make_scorer(stage, *config_, *walk_, head)));
  }
  return stages;
}

void Stages::select(std::span<HeadPolicies> heads, Workers& workers) const {
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    if (config_->system.stages[stage].effect == Effect::select) {
      run(stage, heads, workers,
          [stage](HeadPolicies& head, std::int64_t entries) { head.choose(stage, entries); });
    }
  }
  for (HeadPolicies& head : heads) {
    head.demand();
  }
}

void Stages::evict_prompt(StageUnits units, std::span<HeadPolicies> heads, Workers& workers) const {
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    const StageConfig& config = config_->system.stages[stage];
    if (config.effect == Effect::evict && config.at_prompt_end && config.units == units) {
      evict(stage, heads, workers);
    }
  }
}

bool Stages::evict(std::int64_t step, std::span<HeadPolicies> heads, Workers& workers) const {
  bool fired = false;
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    const StageConfig& config = config_->system.stages[stage];
    if (config.effect == Effect::evict && config.at_step && (step + 1) % config.every == 0) {
      evict(stage, heads, workers);
      fired = true;
    }
  }
  return fired;
}

void Stages::evict(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const {
  for (HeadPolicies& head : heads) {
    head.see_all();
  }
  run(stage, heads, workers,
      [stage](HeadPolicies& head, std::int64_t entries) { head.evict(stage, entries); });
}

void Stages::run(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const Act& act) const {
  std::vector<HeadPolicies*> running;
  for (HeadPolicies& head : heads) {
    if (head.runs(stage)) {
      running.push_back(&head);
    }
  }
  const auto at = [&running](std::int64_t i) -> HeadPolicies& {
    return *running[static_cast<std::size_t>(i)];
  };
  workers.for_each(std::ssize(running), [&](std::int64_t i) { at(i).score(stage); });
  const std::vector<std::int64_t> allotted = allot(stage, running);
  workers.for_each(std::ssize(running),
                   [&](std::int64_t i) { act(at(i), allotted[static_cast<std::size_t>(i)]); });
}

std::vector<std::int64_t> Stages::allot(std::size_t stage, std::span<HeadPolicies* const> heads) const {
  std::vector<HeadCandidates> candidates;
  for (const HeadPolicies* head : heads) {
    candidates.push_back(head->candidates(stage));
  }
  const Budget& budget = *budgets_[stage];
  const auto scope = static_cast<std::size_t>(budget.scope() == BudgetScope::head ? 1 : walk_->kv_heads());
  std::vector<std::int64_t> allotted(heads.size());
  for (std::size_t first = 0; first < heads.size(); first += scope) {
    budget.allot(std::span(candidates).subspan(first, scope), std::span(allotted).subspan(first, scope));
  }
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (allotted[i] < 0) {
      throw PolicyFault(fmt::format("budget '{}': layer {}, head {} is allotted {} entries",
                                    config_->system.stages[stage].budget.type, candidates[i].layer,
                                    candidates[i].head, allotted[i]));
    }
  }
  return allotted;
}

}  // namespace kvr

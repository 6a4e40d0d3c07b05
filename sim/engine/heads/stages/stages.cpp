// A stage, over the heads of its layers:
//
//   every head, in parallel:  rank its units
//   head by head, or layer by layer as the budget's scope is:  ask the budget
//   every head, in parallel:  choose within what it was allotted; or remove all that is not chosen
//   where it estimates:       the same for what is left, of which summaries stand for what is allotted

#include "sim/engine/heads/stages/stages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/heads/stages/scorers.hpp"
#include "sim/engine/heads/stages/stage_check.hpp"
#include "sim/engine/walk/trace_demands.hpp"

namespace kvr {

Stages::Stages(const RunConfig& config, const BatchWalk& walk)
    : config_(&config), walk_(&walk), sets_(walk.kv_heads() / config.system.set_size(walk.kv_heads())) {
  ProblemList problems;
  problems.collect([&] {
    for (std::int64_t sequence = 0; sequence < walk.sequences(); ++sequence) {
      check_stages(config, config.sequences[static_cast<std::size_t>(sequence)],
                   walk.sequence(sequence).trace());
    }
  });
  problems.collect([&] {
    for (std::int64_t sequence = 0; sequence < walk.sequences(); ++sequence) {
      needs_ = check_scorers(config, walk.sequence(sequence).trace().header());
    }
  });
  problems.throw_if_any();
  for (const StageConfig& stage : config.system.stages) {
    budgets_.push_back(make_budgets(stage, stage.budget));
    estimates_.push_back(stage.estimates() ? make_budgets(stage, stage.estimate) : SequenceBudgets());
    const bool at_prompt = stage.at_prompt_end || stage.at_layer_end;
    if (at_prompt && !stage.takes() && budgets_.back().front()->needs().attention) {
      needs_.prompt_window = std::max(needs_.prompt_window, std::int64_t{1});
    }
  }
  for (std::int64_t sequence = 0; sequence < walk.sequences(); ++sequence) {
    check_needs(needs_, config, config.sequences[static_cast<std::size_t>(sequence)],
                walk.sequence(sequence).steps().first_position, walk.sequence(sequence).trace());
  }
}

Stages::SequenceBudgets Stages::make_budgets(const StageConfig& stage, const ComponentChoice& choice) const {
  std::int64_t acts_in = 0;
  for (std::int64_t layer = 0; layer < walk_->layers(); ++layer) {
    acts_in += runs_in(stage, layer, walk_->header()) ? 1 : 0;
  }
  SequenceBudgets budgets;
  for (std::int64_t sequence = 0; sequence < walk_->sequences(); ++sequence) {
    budgets.push_back(Registry<Budget>::instance().create(
        choice.type, choice.values,
        {walk_->layers(), sets_, walk_->sequence(sequence).steps().first_position,
         walk_->header().geometry.layers, acts_in}));
  }
  return budgets;
}

std::vector<std::int64_t> Stages::speculating_layers() const {
  std::vector<std::int64_t> layers;
  for (std::int64_t layer = 0; layer < walk_->layers(); ++layer) {
    const bool wanted = std::ranges::any_of(config_->system.stages, [&](const StageConfig& stage) {
      return stage.speculates() && runs_in(stage, layer, walk_->header());
    });
    if (wanted) {
      layers.push_back(layer);
    }
  }
  return layers;
}

std::int64_t Stages::lowest_for(std::int64_t layer) const {
  const trace::Header& header = walk_->header();
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
    most = std::max(most, stage.effect == Effect::prefetch ? stage.lead() : 0);
  }
  return most;
}

std::vector<std::unique_ptr<HeadStage>> Stages::of_head(HeadId head) const {
  const trace::Header& header = walk_->header();
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
        stage, walk_->sequence(head.sequence).steps().first_position, head, members * header.geometry.group(),
        std::move(tokens), stage.takes() ? nullptr : make_scorer(stage, *config_, header, head),
        budgets_[stages.size()].front()->needs(), header.geometry.attention_scale));
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
    if (!head.resting()) {
      head.demand();
    }
  }
}

void Stages::take(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const {
  const trace::Header& header = walk_->header();
  workers.for_each(std::ssize(heads), [&](std::int64_t i) {
    HeadPolicies& head = heads[static_cast<std::size_t>(i)];
    if (head.runs(stage) && !head.resting()) {
      const StageSource from = source_of(*config_, stage, head.id().layer, header);
      const std::int64_t below = (head.id().layer - from.layer) * walk_->sequences() * sets_;
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
/// those between two times is captured, or the stage acts in none, there is nothing new to act on.
void Stages::evict_by_layers(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers) const {
  const auto& numbers = walk_->header().captured_layers;
  const std::int64_t every = stage_config(stage).every;
  bool has_new = false;
  for (std::size_t seen = 1; seen <= numbers.size(); ++seen) {
    has_new |= stage_config(stage).layers.contains(numbers[seen - 1]);
    const bool is_time = seen == numbers.size() || numbers[seen] / every != numbers[seen - 1] / every;
    if (is_time && has_new) {
      act(stage, heads.first(seen * static_cast<std::size_t>(walk_->sequences() * sets_)), workers);
      has_new = false;
    }
  }
}

bool Stages::evict(std::span<HeadPolicies> heads, Workers& workers, const Held& held) const {
  return act_after(Effect::evict, heads, workers, held);
}

bool Stages::place(std::span<HeadPolicies> heads, Workers& workers, const Held& held) const {
  std::ranges::for_each(heads, &HeadPolicies::forget_placed);
  return act_after(Effect::place, heads, workers, held);
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

/// Each sequence counts its own steps.
bool Stages::act_after(Effect effect, std::span<HeadPolicies> heads, Workers& workers,
                       const Held& held) const {
  bool fired = false;
  for (std::size_t stage = 0; stage < budgets_.size(); ++stage) {
    const StageConfig& config = stage_config(stage);
    const auto is_due = [&config](const HeadPolicies& head) {
      return !head.resting() && head.steps() % config.every == 0;
    };
    if (config.effect == effect && config.at_step && std::ranges::any_of(heads, is_due)) {
      act(stage, heads, workers, {held, is_due});
      fired = true;
    }
  }
  return fired;
}

void Stages::act(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const When& when) const {
  for (HeadPolicies& head : heads) {
    head.see_all();
  }
  const bool places = stage_config(stage).effect == Effect::place;
  run(
      stage, heads, workers,
      [stage, places](HeadPolicies& head, std::int64_t entries) {
        places ? head.place(stage, entries) : head.evict(stage, entries);
      },
      when);
}

std::vector<bool> Stages::overflowing(const StageConfig& stage, std::span<const HeadPolicies> heads,
                                      const Held& held) const {
  if (stage.overflow.tier.empty()) {
    return std::vector<bool>(heads.size(), true);
  }
  const auto has_entries = [](const HeadPolicies& head) { return !head.live().empty(); };
  const double share = static_cast<double>(stage.overflow.bytes) /
                       static_cast<double>(std::ranges::count_if(heads, has_entries));
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
                                           const When& when) const {
  const StageConfig& config = stage_config(stage);
  const std::vector<bool> exceeded = overflowing(config, heads, when.held);
  std::vector<HeadPolicies*> running;
  for (std::size_t i = 0; i < heads.size(); ++i) {
    const bool few = config.overflow.entries > 0 && heads[i].runs(stage) && !heads[i].overflows(stage);
    const bool due = !when.is_due || when.is_due(heads[i]);
    if (heads[i].runs(stage) && !heads[i].resting() && due && exceeded[i] && !few) {
      running.push_back(&heads[i]);
    }
  }
  return running;
}

void Stages::run(std::size_t stage, std::span<HeadPolicies> heads, Workers& workers, const Act& act,
                 const When& when) const {
  const std::vector<HeadPolicies*> acting = running(stage, heads, when);
  const auto at = [&acting](std::int64_t i) -> HeadPolicies& { return *acting[static_cast<std::size_t>(i)]; };
  workers.for_each(std::ssize(acting), [&](std::int64_t i) { at(i).score(stage); });
  const std::vector<std::int64_t> allotted =
      allot(stage, acting, stage_config(stage).budget, budgets_[stage], &HeadPolicies::candidates);
  workers.for_each(std::ssize(acting),
                   [&](std::int64_t i) { act(at(i), allotted[static_cast<std::size_t>(i)]); });
  if (!estimates_[stage].empty()) {
    sketch(stage, acting, workers);
  }
}

void Stages::sketch(std::size_t stage, std::span<HeadPolicies* const> heads, Workers& workers) const {
  const std::vector<std::int64_t> allotted =
      allot(stage, heads, stage_config(stage).estimate, estimates_[stage], &HeadPolicies::unread);
  workers.for_each(std::ssize(heads), [&](std::int64_t i) {
    const auto h = static_cast<std::size_t>(i);
    heads[h]->sketch(stage, allotted[h]);
  });
}

std::vector<std::int64_t> Stages::allot(std::size_t stage, std::span<HeadPolicies* const> heads,
                                        const ComponentChoice& choice, const SequenceBudgets& budgets,
                                        CandidatesOf candidates_of) const {
  std::vector<std::int64_t> allotted(heads.size());
  const bool batch = stage_config(stage).across_batch;
  for (std::size_t sequence = 0; sequence < (batch ? 1 : budgets.size()); ++sequence) {
    std::vector<HeadCandidates> candidates;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < heads.size(); ++i) {
      if (batch || heads[i]->id().sequence == static_cast<std::int64_t>(sequence)) {
        places.push_back(i);
        candidates.push_back((heads[i]->*candidates_of)(stage));
        candidates.back().layer_number =
            walk_->header().captured_layers[static_cast<std::size_t>(heads[i]->id().layer)];
      }
    }
    const std::vector<std::int64_t> own = allot(stage, candidates, choice, *budgets[sequence]);
    for (std::size_t i = 0; i < places.size(); ++i) {
      allotted[places[i]] = own[i];
    }
  }
  return allotted;
}

std::vector<std::int64_t> Stages::allot(std::size_t stage, std::span<const HeadCandidates> heads,
                                        const ComponentChoice& choice, Budget& budget) const {
  std::vector<std::int64_t> allotted;
  while (allotted.size() < heads.size()) {
    const ScopeRange scope = scope_of(stage, heads, allotted.size());
    std::vector<std::int64_t> entries(scope.last - scope.first);
    try {
      budget.allot(heads.subspan(scope.first, entries.size()), entries);
    } catch (const InputError& error) {  // heads of a scope that it does not divide among
      throw config_->placed(fmt::format("system.stages.{}", stage), error);
    }
    allotted.insert(allotted.end(),
                    entries.begin() + (std::ssize(allotted) - static_cast<std::ptrdiff_t>(scope.first)),
                    entries.end());
  }
  for (std::size_t i = 0; i < heads.size(); ++i) {
    if (allotted[i] < 0) {
      throw PolicyFault(fmt::format("budget '{}': layer {}, head {} is allotted {} entries", choice.type,
                                    heads[i].layer, heads[i].head, allotted[i]));
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

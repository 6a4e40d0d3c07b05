#include "sim/engine/heads/stages/stage_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

/// Looks at one stage at a time and keeps what is wrong.
class StageCheck {
 public:
  StageCheck(const RunConfig& config, const SequenceConfig& sequence, const trace::Reader& trace)
      : config_(config), sequence_(sequence), trace_(trace) {}

  void check(std::size_t index) {
    index_ = index;
    check_moments();
    check_name();
    check_take();
    check_queries();
    check_guess();
    check_estimate();
    check_overflow();
    check_place();
  }

  void throw_if_any() const {
    if (!problems_.empty()) {
      throw InputError(problems_);
    }
  }

 private:
  const StageConfig& stage() const { return stages()[index_]; }
  const std::vector<StageConfig>& stages() const { return config_.system.stages; }
  const trace::Header& header() const { return trace_.header(); }
  std::int64_t layers() const { return std::ssize(header().captured_layers); }
  std::int64_t number(std::int64_t layer) const {
    return header().captured_layers[static_cast<std::size_t>(layer)];
  }

  template <class... Args>
  void add(std::string_view key, fmt::format_string<Args...> what, Args&&... args) {
    problems_.push_back(fmt::format("{}: {}", config_.place(fmt::format("system.stages.{}.{}", index_, key)),
                                    fmt::format(what, std::forward<Args>(args)...)));
  }

  void check_moments() {
    const std::string_view act = stage().effect == Effect::select ? "selects" : "prefetches";
    if (stage().chooses() && (stage().at_prompt_end || stage().at_layer_end || !stage().at_step)) {
      add("when", "a stage that {} acts in steps alone; allowed: step", act);
    }
    if (stage().chooses() && stage().every > 1) {
      add("every", "{} for a stage that {}, which acts in every step; allowed: 1", stage().every, act);
    }
    if (stage().every > 1 && !stage().at_step && !stage().at_layer_end) {
      add("every", "{} for a stage that does not act in steps; allowed: 1", stage().every);
    }
    if (stage().at_layer_end && (stage().at_step || stage().at_prompt_end)) {
      add("when", "a stage that acts while the prompt is read acts then alone; allowed: layer_end");
    }
    if (stage().at_layer_end && !stage().chooses() && stage().units == StageUnits::clustering) {
      add("units", "before the prompt has been read there are no units; allowed: token");
    }
    if (stage().chooses() && stage().overflow.entries > 0) {
      add("overflow", "{} for a stage that {}, which acts on all heads; allowed: 0", stage().overflow.entries,
          act);
    }
    if (stage().effect != Effect::select && !stage().counts_pending) {
      add("pins.pending", "free for a stage that selects nothing; allowed: counted, or effect select");
    }
    if (stage().across_batch && stage().scope == Scope::head) {
      add("across", "batch for heads that have a budget each; allowed: sequence, or another scope");
    }
    if (stage().chooses() && !stage().takes() && stage().scope == Scope::model) {
      add("scope", "in a step later layers are not known; allowed: head, layer, layers_seen");
    }
  }

  void check_name() {
    const auto before = std::span(stages()).first(index_);
    if (!stage().name.empty() &&
        std::ranges::find(before, stage().name, &StageConfig::name) != before.end()) {
      add("name", "'{}' is the name of an earlier stage; allowed: another", stage().name);
    }
  }

  std::vector<std::string_view> names_before() const {
    std::vector<std::string_view> names;
    for (const StageConfig& one : std::span(stages()).first(index_)) {
      if (!one.name.empty() && one.chooses() && !one.takes()) {
        names.push_back(one.name);
      }
    }
    return names;
  }

  void check_take() {
    if (!stage().takes()) {
      if (stage().recheck > 0.0) {
        add("recheck", "{} for a stage that chooses for itself; allowed: 0, or a stage to take from",
            stage().recheck);
      }
      return;
    }
    if (stage().effect != Effect::select) {
      add("effect", "a stage that takes what '{}' chose selects; allowed: select", stage().take);
    }
    if (const auto names = names_before(); std::ranges::find(names, stage().take) == names.end()) {
      add("take", "no stage of that name before it chooses for itself ('{}'); allowed: {}", stage().take,
          names.empty() ? "none, for none before it that chooses for itself has a name"
                        : fmt::format("{}", fmt::join(names, ", ")));
      return;
    }
    for (std::int64_t layer = 0; layer < layers(); ++layer) {
      if (!runs_in(stage(), layer, header())) {
        continue;
      }
      const std::optional<StageSource> source = find_source(config_, index_, layer, header());
      if (source && source->layer != layer && stage().recheck > 0.0) {
        add("recheck", "{} in layer {}, which takes from layer {}; allowed: 0 there", stage().recheck,
            number(layer), number(source->layer));
      }
      if (!source) {
        add("take", "'{}' acts neither in layer {} nor in a captured layer below it; {} has layers {}",
            stage().take, number(layer), sequence_.trace_path.string(),
            fmt::join(header().captured_layers, ", "));
      }
    }
  }

  void check_queries() {
    if (stage().takes()) {
      return;
    }
    if (!stage().chooses() && stage().queries != Queries::own) {
      add("queries", "a stage that {} asks with the layer's own; allowed: own",
          stage().effect == Effect::evict ? "evicts" : "places");
    }
    if (stage().effect == Effect::select && stage().queries == Queries::oracle) {
      add("queries",
          "in the layer itself its own queries are known; allowed: own, previous_layer, last_step");
    }
    if (stage().effect == Effect::prefetch && stage().queries == Queries::own) {
      add("queries", "the layer's own are not known before it; allowed: previous_layer, last_step, oracle");
    }
    if (stage().effect != Effect::prefetch && stage().lead_layers > 1) {
      add("lead.layers", "{} for a stage that reads nothing early; allowed: 1", stage().lead_layers);
    }
    if (stage().effect != Effect::prefetch && stage().lead_steps > 0) {
      add("lead.steps", "{} for a stage that reads nothing early; allowed: 0", stage().lead_steps);
    }
    if (stage().effect == Effect::prefetch && stage().speculates() && stage().lead_layers > 1) {
      add("lead.layers",
          "the layer below speculates on these queries, none before it has them ({}); allowed: 1",
          stage().lead_layers);
    }
    if (stage().effect == Effect::prefetch && stage().speculates() && stage().lead_steps > 0) {
      add("lead.steps", "the layer below speculates on these queries within the step ({}); allowed: 0",
          stage().lead_steps);
    }
    for (std::int64_t layer = 0; stage().speculates() && layer < layers(); ++layer) {
      if (runs_in(stage(), layer, header())) {
        check_speculated(layer);
      }
    }
  }

  void check_speculated(std::int64_t layer) {
    if (number(layer) == 0) {
      add("queries", "no layer speculates on the queries of layer 0; allowed: layers from 1 on");
    } else if (!trace_.has(trace::Field::speculated_queries, layer)) {
      problems_.push_back(fmt::format("{}: layer {} has no speculated_queries, which {} asks for",
                                      sequence_.trace_path.string(), number(layer),
                                      config_.place(fmt::format("system.stages.{}.queries", index_))));
    }
  }

  /// One buffer a layer, so one guess.
  void check_guess() {
    if (stage().effect != Effect::prefetch) {
      return;
    }
    for (std::size_t earlier = 0; earlier < index_; ++earlier) {
      for (std::int64_t layer = 0; layer < layers(); ++layer) {
        if (stages()[earlier].effect == Effect::prefetch && runs_in(stages()[earlier], layer, header()) &&
            runs_in(stage(), layer, header())) {
          add("layers", "stage {} prefetches for layer {} too; allowed: one stage a layer", earlier,
              number(layer));
        }
      }
    }
  }

  void check_estimate() {
    if (!stage().estimates()) {
      return;
    }
    if (stage().effect != Effect::select) {
      add("estimate", "only a stage that selects says what is attended to; allowed: none, or effect select");
    }
    if (stage().takes()) {
      add("estimate", "a stage that takes what '{}' chose has no scorer to estimate by; allowed: none",
          stage().take);
    }
    for (std::size_t later = index_ + 1; later < stages().size(); ++later) {
      for (std::int64_t layer = 0; layer < layers(); ++layer) {
        if (stages()[later].effect == Effect::select && runs_in(stages()[later], layer, header()) &&
            runs_in(stage(), layer, header())) {
          add("estimate", "stage {} narrows in layer {} what this one selects; allowed: none", later,
              number(layer));
        }
      }
    }
  }

  void check_overflow() {
    const Overflow& overflow = stage().overflow;
    const std::vector<std::string>& tiers = config_.system.tier_names;
    if (overflow.tier.empty()) {
      if (overflow.bytes > 0) {
        add("overflow.bytes", "{} in no tier; allowed: with the name of one, {}", overflow.bytes,
            fmt::join(tiers, ", "));
      }
      return;
    }
    if (std::ranges::find(tiers, overflow.tier) == tiers.end()) {
      add("overflow.tier", "'{}' is no tier; allowed: {}", overflow.tier, fmt::join(tiers, ", "));
    }
    if (stage().chooses()) {
      add("overflow.tier", "'{}' for a stage that acts on all heads; allowed: none", overflow.tier);
    }
    if (!stage().chooses() && (stage().at_prompt_end || stage().at_layer_end)) {
      add("overflow.tier", "'{}' holds nothing while the prompt is read; allowed: when: step", overflow.tier);
    }
  }

  void check_place() {
    if (stage().effect != Effect::place) {
      if (!stage().tier.empty()) {
        add("tier", "'{}' for a stage that places nothing; allowed: none", stage().tier);
      }
      return;
    }
    const std::string& first = config_.system.tier_names.front();
    if (stage().tier != first) {
      add("tier", "'{}' is not the first tier, where alone stages place; allowed: {}", stage().tier, first);
    }
    if (!config_.system.has_lower_tier()) {
      add("effect", "'{}' has all entries, so that none is placed elsewhere; allowed: a tier below it",
          first);
    }
    if (stage().at_layer_end) {
      add("when", "tiers hold nothing while the prompt is read; allowed: prefill_end, step");
    }
    const auto before = std::span(stages()).first(index_);
    if (std::ranges::find(before, Effect::place, &StageConfig::effect) != before.end()) {
      add("effect", "a stage before it places too; allowed: one");
    }
  }

  const RunConfig& config_;
  const SequenceConfig& sequence_;
  const trace::Reader& trace_;
  std::size_t index_ = 0;
  std::vector<std::string> problems_;
};

}  // namespace

bool runs_in(const StageConfig& stage, std::int64_t layer, const trace::Header& header) {
  return stage.layers.contains(header.captured_layers[static_cast<std::size_t>(layer)]);
}

std::optional<StageSource> find_source(const RunConfig& config, std::size_t stage, std::int64_t layer,
                                       const trace::Header& header) {
  const std::vector<StageConfig>& stages = config.system.stages;
  for (std::int64_t below = layer; below >= 0; --below) {
    for (std::size_t i = 0; i < stage; ++i) {
      if (stages[i].name == stages[stage].take && runs_in(stages[i], below, header)) {
        return StageSource{i, below};
      }
    }
  }
  return std::nullopt;
}

StageSource source_of(const RunConfig& config, std::size_t stage, std::int64_t layer,
                      const trace::Header& header) {
  const std::optional<StageSource> source = find_source(config, stage, layer, header);
  KVR_CHECK(source.has_value(), "stage {} takes from none in layer {}", stage, layer);
  return *source;
}

void check_stages(const RunConfig& config, const SequenceConfig& sequence, const trace::Reader& trace) {
  StageCheck check(config, sequence, trace);
  for (std::size_t stage = 0; stage < config.system.stages.size(); ++stage) {
    check.check(stage);
  }
  check.throw_if_any();
}

}  // namespace kvr

#include "sim/engine/point_notes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <iterator>

#include "sim/base/units.hpp"
#include "sim/engine/memory/cache_set.hpp"

namespace kvr {

namespace {

bool hides_io(const PointData& data) {
  constexpr double kRounding = 1e-12;  // s, of a difference of two times
  return std::ranges::any_of(data.values(Metric::hidden_io_s),
                             [](double hidden_s) { return hidden_s > kRounding; });
}

/// What was asked of a cache that cannot be had, or changes nothing.
std::vector<std::string> cache_notes(const RunConfig& config, bool caches, std::int64_t dram_bytes) {
  std::vector<std::string> notes;
  for (const std::string_view key : {"system.cache.capacity", "system.cache.scope"}) {
    const bool asked = config.system.cache_capacity_bytes > 0 && config.given_here.contains(key);
    if (!caches && asked) {
      notes.push_back(fmt::format("no effect: {} ({}): replacement '{}' keeps nothing", key,
                                  config.said_at.find(key)->second, config.system.replacement.type));
    }
  }
  const auto compare = [&](std::string_view key, std::int64_t asked_bytes) {
    const auto text = [](std::int64_t bytes) {
      return format_quantity(static_cast<double>(bytes), Quantity::bytes);
    };
    if (dram_bytes > 0 && asked_bytes > dram_bytes) {
      notes.push_back(fmt::format("{}: {} are more than the phone's DRAM of {}", config.place(key),
                                  text(asked_bytes), text(dram_bytes)));
    }
  };
  compare("system.dram", config.system.dram_bytes);
  if (caches) {
    compare("system.cache.capacity", config.system.cache_capacity_bytes);
  }
  return notes;
}

/// What was asked of a tier that is not there.
std::vector<std::string> tier_notes(const RunConfig& config) {
  const SystemConfig& system = config.system;
  std::vector<std::string> notes;
  const auto tell = [&](std::string_view key, std::string_view why) {
    const auto said = config.said_at.find(key);
    if (config.given_here.contains(key) && said != config.said_at.end()) {
      notes.push_back(fmt::format("no effect: {} ({}): {}", key, said->second, why));
    }
  };
  if (!system.on_flash) {
    tell("system.layout",
         system.has_lower_tier() ? "system.tiers has no flash" : "system.tiers has DRAM alone");
  }
  if (!system.has_lower_tier()) {
    tell("system.replacement", "system.tiers has DRAM alone");
    tell("system.cache", "system.tiers has DRAM alone");
  }
  if (system.virtual_memory.cache == CacheSwap::none) {
    tell("system.cache.swap", "system.cache.holds is all");
  }
  return notes;
}

/// What the links of tiers would cost beside time.
std::vector<std::string> link_notes(const Machine& machine) {
  const std::vector<std::string> names = machine.link_names();
  return names.empty() ? std::vector<std::string>{}
                       : std::vector<std::string>{fmt::format(
                             "left out: energy of the links of tiers, and what they take of the bandwidth of "
                             "memory ({})",
                             fmt::join(names, ", "))};
}

/// What is taken for granted of codecs with state.
std::vector<std::string> codec_notes(const Machine& machine) {
  std::vector<std::string> notes;
  if (machine.codecs().refers()) {
    notes.push_back(
        "assumed: entries in the first tier are there to be attended to at their stored size; what an entry "
        "refers to is read with it when it comes from below");
  }
  if (machine.codecs().tail() > 0) {
    notes.push_back(fmt::format(
        "codec: the newest {} entries stay as captured in the first tier; that attention reads more of each "
        "than of a stored one is left out",
        machine.codecs().tail()));
  }
  return notes;
}

/// What was asked of a stage that does not look at it, and whether it knows what no system can.
std::vector<std::string> stage_notes(const RunConfig& config, std::span<const std::int64_t> captured_layers,
                                     const Budget& budget, std::size_t index) {
  const StageConfig& stage = config.system.stages[index];
  std::vector<std::string> notes;
  if (std::ranges::none_of(captured_layers, [&](std::int64_t one) { return stage.layers.contains(one); })) {
    notes.push_back(fmt::format("no effect: {}: the trace has layers {} alone",
                                config.place(fmt::format("system.stages.{}", index)),
                                fmt::join(captured_layers, ", ")));
    return notes;
  }
  const auto without_effect = [&](std::initializer_list<std::string_view> keys, std::string_view why) {
    for (const std::string_view key : keys) {
      const std::string path = fmt::format("system.stages.{}.{}", index, key);
      if (config.given_here.contains(path)) {
        notes.push_back(fmt::format("no effect: {} ({}): {}", path, config.said_at.find(path)->second, why));
      }
    }
  };
  if (stage.takes()) {
    without_effect({"scorer", "budget", "queries", "units", "norm", "fold", "last_unit"},
                   "the stage takes what another chose");
  } else if (!budget.compares_heads()) {
    without_effect({"scope"}, fmt::format("budget '{}' gives each head its own", stage.budget.type));
  }
  if (stage.effect == Effect::prefetch && !config.system.has_lower_tier()) {
    notes.push_back(fmt::format("no effect: {}: all entries are in the first tier",
                                config.place(fmt::format("system.stages.{}", index))));
  }
  if (stage.effect == Effect::prefetch) {
    without_effect({"pins"}, "a guess is of what stages that select may choose, so their pins count");
    if (stage.lead_steps > 0) {
      without_effect({"lead.layers"}, "the stage guesses when the step before ends");
    }
  } else {
    without_effect({"lead"}, "the stage does not read ahead");
  }
  if (!stage.takes() && stage.queries == Queries::oracle) {
    notes.push_back(
        fmt::format("oracle: system.stages.{} knows queries before they are there, as no system can", index));
  }
  return notes;
}

/// What happens between the steps and has no time.
std::vector<std::string> turn_notes(const RunConfig& config) {
  if (config.charges_prefill) {
    return {
        "prefill: counted are the computing, what policies do, what attention reads of flash, each layer's "
        "once, and "
        "what is written; left out: links of tiers, and what forks read in again"};
  }
  std::int64_t tokens = 0;
  for (const TurnConfig& turn : config.turns) {
    tokens += turn.act == TurnAct::prefill ? turn.tokens : 0;
  }
  return tokens == 0
             ? std::vector<std::string>{}
             : std::vector{fmt::format(
                   "left out: time and traffic of the {} tokens of a sequence that turns read in; what they "
                   "come to in DRAM and on flash is there afterwards",
                   tokens)};
}

/// What was asked of positions where no entry ever moves.
std::vector<std::string> position_notes(const RunConfig& config) {
  constexpr std::string_view kKey = "system.positions";
  const bool evicts = std::ranges::any_of(
      config.system.stages, [](const StageConfig& stage) { return stage.effect == Effect::evict; });
  return config.system.slot_positions && !evicts && config.given_here.contains(kKey)
             ? std::vector{fmt::format("no effect: {} ({}): no stage removes entries", kKey,
                                       config.said_at.find(kKey)->second)}
             : std::vector<std::string>{};
}

/// Which costs of reading under computation are in the times.
std::vector<std::string> overlap_notes(std::span<const std::pair<std::string_view, bool>> costs) {
  std::vector<std::string_view> counted;
  std::vector<std::string_view> left_out;
  for (const auto& [cost, is_counted] : costs) {
    (is_counted ? counted : left_out).push_back(cost);
  }
  std::vector<std::string> notes;
  constexpr std::string_view kNote = "{}: what it costs to read under computation ({}){}";
  if (!counted.empty()) {
    notes.push_back(fmt::format(kNote, "counted", fmt::join(counted, ", "), ""));
  }
  if (!left_out.empty()) {
    notes.push_back(fmt::format(kNote, "left out", fmt::join(left_out, ", "),
                                counted.empty() ? "; hidden I/O is free" : ""));
  }
  return notes;
}

/// Parameters of the device that the host makes idle.
std::vector<std::string> idle_notes(const RunConfig& config, const FlashDevice& device) {
  std::vector<std::string> notes;
  for (const IdleParam& idle : device.idle_with_host()) {
    const std::string key = fmt::format("{}.{}", FlashDevice::kKind, idle.name);
    if (config.given_here.contains(key)) {
      notes.push_back(fmt::format("no effect: {} ({}): {}", key, config.said_at.find(key)->second, idle.why));
    }
  }
  return notes;
}

/// A device that serves one batch after another has nothing from further ones that wait with it.
std::vector<std::string> outstanding_notes(const RunConfig& config, const Machine& machine) {
  constexpr std::string_view kKey = "system.schedule.reads_outstanding";
  const bool idle = machine.batches_outstanding() > 1 && !machine.device().serves_batches_together();
  return idle && config.given_here.contains(kKey)
             ? std::vector{fmt::format("no effect: {} ({}): device type '{}' serves one batch after another",
                                       kKey, config.said_at.find(kKey)->second, config.device.type)}
             : std::vector<std::string>{};
}

}  // namespace

std::vector<std::string> point_notes(const RunConfig& config, const Machine& machine, const Stages& stages,
                                     const PointData& data, std::span<const CacheUse> caches,
                                     const std::string& co_retrieval) {
  std::vector<std::string> notes = config.notes;
  const auto add = [&notes](const std::vector<std::string>& more) {
    std::ranges::copy(more, std::back_inserter(notes));
  };
  add(cache_notes(config, caches.front().keeps, machine.dram_bytes()));
  add(tier_notes(config));
  for (std::size_t stage = 0; stage < config.system.stages.size(); ++stage) {
    add(stage_notes(config, data.layer_numbers(), *stages.budgets(stage).front(), stage));
  }
  add(turn_notes(config));
  add(codec_notes(machine));
  add(position_notes(config));
  add(link_notes(machine));
  add(idle_notes(config, machine.device()));
  add(outstanding_notes(config, machine));
  add(machine.notes());
  add(figure_notes(config, data, caches));
  if (!co_retrieval.empty()) {
    notes.push_back(co_retrieval);
  }
  if (needs_future(config)) {
    notes.push_back(fmt::format("oracle: replacement '{}' knows every access to come, as no system can",
                                config.system.replacement.type));
  }
  if (hides_io(data)) {
    add(overlap_notes(machine.overlap_costs()));
  }
  add(data.notes());
  return notes;
}

}  // namespace kvr

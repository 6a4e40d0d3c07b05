#include "sim/engine/figure_notes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "sim/results/statistics.hpp"

namespace kvr {
namespace {

using Notes = std::vector<std::string>;

/// False also of a metric that was not recorded.
bool ever(const PointData& data, Metric metric) {
  return data.recorded(metric) && std::ranges::any_of(data.values(metric), [](double value) {
           return value != 0.0;  // what is no number is told elsewhere
         });
}

bool has_stage(const RunConfig& config, const PointData& data, Effect effect) {
  return std::ranges::any_of(config.system.stages, [&](const StageConfig& stage) {
    return stage.effect == effect && std::ranges::any_of(data.layer_numbers(), [&stage](std::int64_t layer) {
             return stage.layers.contains(layer);
           });
  });
}

/// Of a cache without anything to give up, and of one that is none.
Notes cache_notes(const RunConfig& config, std::span<const CacheUse> caches) {
  Notes notes;
  if (!config.system.has_lower_tier()) {
    return notes;
  }
  if (!caches.front().keeps) {
    notes.push_back(fmt::format("hit_rate: replacement '{}' keeps nothing", caches.front().replacement));
  }
  for (const CacheUse& cache : caches) {
    if (cache.keeps && !cache.gave_up) {
      notes.push_back(
          fmt::format("the cache in tier '{}' was never full: replacement '{}' decided nothing, any other "
                      "that keeps what "
                      "is read does the same",
                      cache.tier, cache.replacement));
    }
  }
  return notes;
}

Notes reuse_notes(const RunConfig& config, const PointData& data) {
  if (!data.recorded(Metric::updated_units) || ever(data, Metric::updated_units)) {
    return {};
  }
  return {fmt::format("reuse_probability has no value: clustering '{}' updated no unit",
                      config.system.clustering.type)};
}

/// Where sequences differ in length nothing says of each head how many entries there are.
bool attends_to_all(const PointData& data) {
  if (data.walked_sequences() > 1 || !data.recorded(Metric::attended_entries)) {
    return false;
  }
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    const double entries = data.at(Metric::position, step) + 1.0;
    for (std::int64_t layer = 0; layer < data.layers(); ++layer) {
      for (std::int64_t head = 0; head < data.heads(); ++head) {
        if (data.at(Metric::attended_entries, step, layer, head) < entries - 0.5) {  // counts are means
          return false;
        }
      }
    }
  }
  return true;
}

bool retains_all(const PointData& data) {
  return data.recorded(Metric::retained) &&
         std::ranges::none_of(data.values(Metric::retained), [](double share) { return share < 1.0; });
}

Notes choice_notes(const RunConfig& config, const PointData& data) {
  Notes notes;
  if (has_stage(config, data, Effect::select) && attends_to_all(data)) {
    notes.emplace_back(
        "recall and mass: the budget takes every entry in every step, so that scorers do not differ");
  }
  if (has_stage(config, data, Effect::evict) && retains_all(data)) {
    notes.emplace_back(
        "retained: stages that evict remove nothing, so that what they would cost is not seen");
  }
  return notes;
}

Notes guess_notes(const RunConfig& config, const PointData& data) {
  if (!config.system.has_lower_tier() || !has_stage(config, data, Effect::prefetch) ||
      ever(data, Metric::guessed_bytes)) {
    return {};
  }
  return {"guess_precision and guess_coverage have no value: all that was guessed was in the first tier"};
}

Notes read_notes(const RunConfig& config, const PointData& data) {
  if (!config.system.on_flash || ever(data, Metric::read_bytes)) {
    return {};
  }
  return {"nothing is read from flash in any step: times say nothing of how the device reads"};
}

/// Parts of the energy that cost nothing although there is something that does.
Notes energy_notes(const RunConfig& config, const PointData& data) {
  const bool moves = ever(data, Metric::read_bytes) || ever(data, Metric::write_bytes);
  const std::array<std::pair<Metric, bool>, 5> parts{{{Metric::flash_energy_j, moves},
                                                      {Metric::dram_energy_j, true},
                                                      {Metric::host_io_energy_j, moves},
                                                      {Metric::compute_energy_j, true},
                                                      {Metric::base_energy_j, true}}};
  std::vector<std::string_view> free;
  for (const auto& [part, expected] : parts) {
    if (expected && data.recorded(part) && !ever(data, part)) {
      free.push_back(info(part).name);
    }
  }
  if (free.empty()) {
    return {};
  }
  return {fmt::format("energy_j lacks {}: 0 by the parameters of phone '{}' and device '{}'",
                      fmt::join(free, ", "), config.phone.type, config.device.type)};
}

}  // namespace

std::vector<std::string> figure_notes(const RunConfig& config, const PointData& data,
                                      std::span<const CacheUse> caches) {
  Notes notes;
  for (Notes& some :
       std::array{cache_notes(config, caches), reuse_notes(config, data), choice_notes(config, data),
                  guess_notes(config, data), read_notes(config, data), energy_notes(config, data)}) {
    std::ranges::move(some, std::back_inserter(notes));
  }
  return notes;
}

}  // namespace kvr

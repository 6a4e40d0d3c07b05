#include "sim/engine/recording/reporting_policies.hpp"

#include <fmt/format.h>

namespace kvr {
namespace {

void add_caches(const CacheSet& caches, const std::string& name, std::string_view tier,
                PolicyFigures& figures) {
  for (const auto& cache : caches.caches()) {
    figures.add(cache->policy(), name, tier);
  }
}

void add_stages(const SystemConfig& system, const ReportingParts& parts, PolicyFigures& figures) {
  for (std::size_t i = 0; i < system.stages.size(); ++i) {
    const std::string role = fmt::format("stage {}", i);
    for (const HeadPolicies& head : parts.heads) {
      if (head.runs(i) && head.stage(i)->scorer() != nullptr) {
        figures.add(*head.stage(i)->scorer(), system.stages[i].scorer.type, role, head.id());
      }
    }
    if (!system.stages[i].takes()) {
      for (const auto& budget : parts.stages.budgets(i)) {
        figures.add(*budget, system.stages[i].budget.type, role);
      }
    }
  }
}

}  // namespace

void add_policies(const RunConfig& config, const ReportingParts& parts, PolicyFigures& figures) {
  const SystemConfig& system = config.system;
  for (const HeadPolicies& head : parts.heads) {
    figures.add(head.clustering(), system.clustering.type, "", head.id());
  }
  add_stages(system, parts, figures);
  for (std::size_t layer = 0; layer < parts.memories.size(); ++layer) {
    for (const auto& layout : parts.memories[layer].layouts()) {
      figures.add(*layout, system.layout.type, "", {static_cast<std::int64_t>(layer), -1});
    }
  }
  add_caches(parts.caches, system.replacement.type, "the first tier", figures);
  auto tier = system.tiers.begin();
  for (const TierLevel& level : parts.tiers.levels()) {
    add_caches(level.caches(), tier->replacement.type, fmt::format("tier {}", tier->name), figures);
    ++tier;
  }
  const StoreCodecs& codecs = parts.machine.codecs();
  if (codecs.is_joint()) {
    figures.add(*codecs.joint.codec, codecs.joint.name);
  } else {
    figures.add(*codecs.keys.codec, codecs.keys.name, "keys");
    figures.add(*codecs.values.codec, codecs.values.name, "values");
  }
  figures.add(parts.machine.schedule(), system.schedule.type);
  figures.add(parts.machine.device(), config.device.type);
}

}  // namespace kvr

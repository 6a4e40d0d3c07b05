#include <fmt/format.h>

#include <optional>

#include "sim/config/problem_list.hpp"
#include "sim/engine/heads/stages/scorers.hpp"
#include "sim/engine/heads/stages/stage_check.hpp"
#include "sim/engine/heads/stages/stages.hpp"
#include "sim/engine/memory/cache_set.hpp"
#include "sim/engine/memory/dram_budget.hpp"
#include "sim/engine/memory/tiers/tier_refusals.hpp"
#include "sim/engine/point_replay.hpp"
#include "sim/engine/recording/units/unit_recorder.hpp"
#include "sim/engine/replay.hpp"
#include "sim/engine/timing/machine.hpp"
#include "sim/engine/walk/batch_walk.hpp"

namespace kvr {
namespace {

/// The caches of every tier, and what everything may take together; of a machine whose parts are right.
void check_memory(const RunConfig& config, const trace::Header& header, ProblemList& problems) {
  const MemoryGeometry geometry = Machine(config, header).memory_geometry();
  const auto layers = static_cast<std::int64_t>(header.captured_layers.size());
  const std::int64_t sets = std::ssize(config.sequences) * header.kv_heads_captured() /
                            config.system.set_size(header.kv_heads_captured());
  std::optional<CacheSet> caches;
  problems.collect([&] { caches.emplace(config, caches_of(config), geometry, layers, sets, nullptr); });
  problems.collect([&] { refuse_tiers(config); });
  for (const TierConfig& tier : config.system.tiers) {
    if (tier.capacity_bytes > 0) {
      problems.collect(
          [&] { const CacheSet unused(config, caches_of(tier), geometry, layers, sets, nullptr); });
    }
  }
  if (caches) {
    problems.collect([&] { const DramBudget unused(config, geometry, *caches); });
  }
}

/// An entry that never comes would have no attention in any system.
void check_span(const RunConfig& config, BatchTraces traces) {
  ProblemList problems;
  for (std::size_t i = 0; i < traces.size(); ++i) {
    const std::int64_t entries = traces[i]->header().seq_len;
    if (config.recorded_span.tokens > 0 && config.recorded_span.end() > entries) {
      problems.add(fmt::format("{}: reaches beyond the {} tokens of {}; allowed: first + tokens up to {}",
                               config.place("record.span"), entries, config.sequences[i].trace_path.string(),
                               entries));
    }
  }
  problems.throw_if_any();
}

}  // namespace

void check_point(const RunConfig& config, BatchTraces traces) {
  const trace::Reader& trace = *traces.front();
  ProblemList problems;
  std::optional<BatchWalk> walk;
  problems.collect([&] { walk.emplace(config, traces); });
  problems.collect([&] { check_span(config, traces); });
  const bool whole = problems.collect([&] { check_parts(config, trace.header()); });
  if (walk) {
    problems.collect([&] { const Stages unused(config, *walk); });
    problems.collect([&] { check_unit_window(config, *walk); });
  } else {
    problems.collect([&] { check_stages(config, config.sequences.front(), trace); });
    problems.collect([&] { check_scorers(config, trace.header()); });
  }
  if (whole) {
    check_memory(config, trace.header(), problems);
  }
  problems.throw_if_any();
  if (walk) {
    const PointReplay unused(config, *walk, nullptr);
  }
}

}  // namespace kvr

// One step at position p:
//   every head, in parallel:  rank the units of entries 0..p-1
//   every layer:              ask the budget
//   every head, in parallel:  select, attend, compare with the truth over 0..p
//   layer by layer:           split demands into hits and misses, plan reads;
//                             heads follow entry p; changes reach layout and cache; the cache evicts
//   the machine:              lay the step's operations on its resources, find its latency

#include "sim/engine/replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "sim/engine/allotment.hpp"
#include "sim/engine/cache_set.hpp"
#include "sim/engine/invariants.hpp"
#include "sim/engine/layer_replay.hpp"
#include "sim/engine/machine.hpp"
#include "sim/engine/memory_use.hpp"
#include "sim/engine/prompt_queries.hpp"
#include "sim/engine/recording.hpp"
#include "sim/engine/trace_demands.hpp"
#include "sim/engine/trace_feed.hpp"
#include "sim/engine/workers.hpp"
#include "sim/error.hpp"
#include "sim/registry.hpp"

namespace kvr {
namespace {

class Replay {
 public:
  /// `accesses` may be null; see CacheSet.
  Replay(const RunConfig& config, const trace::Reader& trace, AccessRecord* accesses);
  /// What the policies do, without the machine.
  void run_policies(const Progress& progress);
  PointResult run(const Progress& progress, Timeline* timeline);

 private:
  void make_heads();
  void make_layers();
  void load_prompt();
  void step(std::int64_t position);
  void record(std::int64_t step, std::int64_t position, const StepTimes& times);

  HeadId head_id(std::int64_t index) const { return {index / kv_heads_, index % kv_heads_}; }
  std::int64_t head_count() const { return layers_ * kv_heads_; }
  std::span<HeadReplay> heads_of(std::int64_t layer) {
    return std::span(heads_).subspan(static_cast<std::size_t>(layer * kv_heads_),
                                     static_cast<std::size_t>(kv_heads_));
  }

  const RunConfig& config_;
  const trace::Reader& trace_;
  const trace::Header& header_;
  std::int64_t layers_;
  std::int64_t kv_heads_;
  StepRange steps_;
  Machine machine_;
  Workers workers_;
  TraceFeed feed_;
  std::unique_ptr<Budget> budget_;
  std::vector<HeadReplay> heads_;
  CacheSet caches_;
  std::vector<LayerReplay> replays_;
  std::vector<HeadResidency*> residencies_;
  std::vector<std::int64_t> allotted_;
  std::optional<PromptQueries> prompt_queries_;  ///< where the layout wants co-retrieval
  std::int64_t working_buffer_bytes_ = 0;
  std::vector<UpdateReuse> reuses_;  ///< [layers * heads]
  PointData data_;
};

Replay::Replay(const RunConfig& config, const trace::Reader& trace, AccessRecord* accesses)
    : config_(config),
      trace_(trace),
      header_(trace.header()),
      layers_(static_cast<std::int64_t>(header_.captured_layers.size())),
      kv_heads_(header_.kv_heads_captured()),
      steps_(step_range(config, header_)),
      machine_(config, header_),
      workers_(config.threads),
      feed_(trace),
      budget_(Registry<Budget>::instance().create(config.system.stages.front().budget.type,
                                                  config.system.stages.front().budget.values,
                                                  {layers_, kv_heads_, header_.prefill_len})),
      caches_(config, machine_, layers_, kv_heads_, accesses),
      allotted_(static_cast<std::size_t>(layers_ * kv_heads_)),
      reuses_(static_cast<std::size_t>(layers_ * kv_heads_)),
      data_(config.point, steps_.count, layers_, kv_heads_) {
  data_.set_layer_numbers(header_.captured_layers);
  data_.set_head_numbers(header_.captured_kv_heads);
  make_heads();
  make_layers();
}

void Replay::make_heads() {
  const StageConfig& stage = config_.system.stages.front();
  const auto seed = static_cast<std::uint64_t>(config_.seed);
  const trace::Geometry& g = header_.geometry;
  heads_.reserve(static_cast<std::size_t>(head_count()));
  for (std::int64_t i = 0; i < head_count(); ++i) {
    const HeadId head = head_id(i);
    auto clustering = Registry<Clustering>::instance().create(
        config_.system.clustering.type, config_.system.clustering.values, {g.head_dim, head, seed});
    auto scorer = Registry<Scorer>::instance().create(stage.scorer.type, stage.scorer.values,
                                                      {g.head_dim, g.group(), g.attention_scale, head, seed});
    check_needs(scorer->needs(), config_, trace_);
    heads_.emplace_back(head, g.group(), g.attention_scale,
                        HeadStore(steps_.first_position + steps_.count, g.head_dim, machine_.key_codec(),
                                  machine_.value_codec()),
                        std::move(clustering), std::move(scorer), select_rules_of(stage));
  }
}

void Replay::make_layers() {
  replays_.reserve(static_cast<std::size_t>(layers_));
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    auto layout =
        Registry<Layout>::instance().create(config_.system.layout.type, config_.system.layout.values,
                                            {kv_heads_, machine_.entry_bytes(), machine_.block_bytes(),
                                             static_cast<std::uint64_t>(config_.seed)});
    std::vector<Cache*> caches;
    for (std::int64_t head = 0; head < kv_heads_; ++head) {
      caches.push_back(&caches_.of(layer, head));
    }
    replays_.emplace_back(layer, heads_of(layer), std::move(layout), steps_.first_position + steps_.count,
                          machine_.entry_bytes(), machine_.block_bytes(), std::move(caches));
  }
  for (LayerReplay& layer : replays_) {
    for (std::int64_t head = 0; head < kv_heads_; ++head) {
      residencies_.push_back(&layer.residency(head));
    }
  }
}

void Replay::load_prompt() {
  for (std::int64_t i = 0; i < head_count(); ++i) {
    feed_.fill(head_id(i), steps_.first_position, heads_[static_cast<std::size_t>(i)].store());
  }
  workers_.for_each(head_count(), [this](std::int64_t i) { heads_[static_cast<std::size_t>(i)].build(); });
  if (replays_.front().wants_co_retrieval()) {
    prompt_queries_.emplace(feed_, steps_.first_position);
  }
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    std::vector<std::vector<CoRetrieval>> co_retrieval;
    if (prompt_queries_) {
      co_retrieval = prompt_queries_->co_retrieval(layer, heads_of(layer), *budget_, workers_);
    }
    replays_[static_cast<std::size_t>(layer)].place(co_retrieval);
  }
}

void Replay::step(std::int64_t position) {
  for (std::int64_t i = 0; i < head_count(); ++i) {
    const TraceFeed::Rows rows = feed_.rows(head_id(i), position);
    heads_[static_cast<std::size_t>(i)].begin_step(rows.queries, rows.key, rows.value);
  }
  workers_.for_each(head_count(), [this](std::int64_t i) { heads_[static_cast<std::size_t>(i)].score(); });
  allot(*budget_, heads_, kv_heads_, allotted_);
  workers_.for_each(head_count(), [this](std::int64_t i) {
    heads_[static_cast<std::size_t>(i)].attend(allotted_[static_cast<std::size_t>(i)]);
  });
  working_buffer_bytes_ = 0;
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    LayerReplay& replay = replays_[static_cast<std::size_t>(layer)];
    replay.swap_in(machine_.virtual_memory(), machine_.extrapolation().dim_ratio);
    replay.read();
    workers_.for_each(kv_heads_, [&](std::int64_t head) {
      heads_of(layer)[static_cast<std::size_t>(head)].follow(replay.residency(head));
    });
    replay.settle(residencies_);
    if (machine_.virtual_memory().representatives) {
      replay.write_representatives(machine_.extrapolation().dim_ratio);
    }
    working_buffer_bytes_ = std::max(working_buffer_bytes_, replay.missed_entries() * machine_.entry_bytes() *
                                                                machine_.extrapolation().head_copies);
  }
}

void Replay::record(std::int64_t step, std::int64_t position, const StepTimes& times) {
  data_.set(Metric::position, step, static_cast<double>(position));
  data_.set(Metric::latency_s, step, times.latency_s());
  data_.set(Metric::compute_s, step, times.compute_s);
  data_.set(Metric::policy_s, step, machine_.policy_s());
  data_.set(Metric::io_s, step, times.io_s);
  data_.set(Metric::exposed_io_s, step, times.exposed_io_s);
  data_.set(Metric::hidden_io_s, step, times.hidden_io_s);
  double metadata = 0.0;
  double visible = 0.0;
  double waiting = 0.0;
  double space = 0.0;
  for (const HeadReplay& head : heads_) {
    metadata += static_cast<double>(head.metadata_bytes());
    visible += static_cast<double>(head.always_visible());
  }
  for (const LayerReplay& layer : replays_) {
    waiting += static_cast<double>(layer.waiting_entries());
    space += static_cast<double>(layer.space_bytes());
  }
  data_.set(Metric::cache_bytes, step, cache_in_dram_bytes(replays_, machine_));
  data_.set(Metric::working_buffer_bytes, step, static_cast<double>(working_buffer_bytes_));
  const auto entry_bytes = static_cast<double>(machine_.entry_bytes());
  data_.set(Metric::write_buffer_bytes, step, machine_.extrapolation().model_share(waiting * entry_bytes));
  data_.set(Metric::pinned_bytes, step, machine_.extrapolation().model_share(visible * entry_bytes));
  data_.set(Metric::representative_bytes, step, representatives_in_dram_bytes(heads_, machine_));
  data_.set(Metric::metadata_bytes, step, machine_.extrapolation().model_share(metadata));
  data_.set(Metric::flash_space_bytes, step, machine_.extrapolation().model_share(space));
  record_energy(machine_.energy(), step, data_);
  for (std::int64_t layer = 0; layer < layers_; ++layer) {
    record_layer(replays_[static_cast<std::size_t>(layer)], heads_of(layer), machine_, {step, layer}, data_);
  }
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    const HeadId head = head_id(static_cast<std::int64_t>(i));
    reuses_[i].follow(heads_[i].demanded().units, heads_[i].changes());
    record_reuse(reuses_[i], {step, head.layer}, head.head, data_);
  }
  if (config_.host_timing) {
    record_kernel_times(heads_, step, data_);
  }
}

void Replay::run_policies(const Progress& progress) {
  load_prompt();
  for (std::int64_t i = 0; i < steps_.count; ++i) {
    step(steps_.first_position + i);
    if (progress) {
      progress(i + 1, steps_.count);
    }
  }
}

PointResult Replay::run(const Progress& progress, Timeline* timeline) {
  if (timeline != nullptr) {
    timeline->begin_point(config_.point);
  }
  load_prompt();
  for (std::int64_t i = 0; i < steps_.count; ++i) {
    const std::int64_t position = steps_.first_position + i;
    step(position);
    if (config_.check_every_step) {
      check_invariants(heads_, replays_, caches_);
    }
    const StepTimes times = machine_.run_step(replays_, heads_);
    record(i, position, times);
    if (timeline != nullptr && timeline->steps().contains(i)) {
      timeline->add_step(i, position, machine_.graph(), machine_.spans(), times);
    }
    if (progress) {
      progress(i + 1, steps_.count);
    }
  }
  check_invariants(heads_, replays_, caches_);
  machine_.check_conservation();
  caches_.check_accesses();
  std::vector<std::string> notes = machine_.notes();
  if (prompt_queries_) {
    notes.push_back(prompt_queries_->note());
  }
  return {std::move(data_), config_.resolved_yaml, std::move(notes), config_.record_per_step,
          machine_.device().model_errors()};
}

/// The accesses are recorded in a replay of their own, which is the first half of the progress.
PointResult replay_with_future(const RunConfig& config, const trace::Reader& trace, const Progress& progress,
                               Timeline* timeline) {
  const auto half = [&progress](std::int64_t before) {
    return [&progress, before](std::int64_t done, std::int64_t total) {
      if (progress) {
        progress(before * total + done, 2 * total);
      }
    };
  };
  AccessRecord accesses;
  Replay(config, trace, &accesses).run_policies(half(0));
  accesses.set_complete();
  PointResult result = Replay(config, trace, &accesses).run(half(1), timeline);
  result.notes.push_back(fmt::format("oracle: replacement '{}' knows every access to come, as no system can",
                                     config.system.replacement.type));
  return result;
}

}  // namespace

void check_point(const RunConfig& config, const trace::Reader& trace) {
  const Replay unused(config, trace, nullptr);
}

PointResult replay(const RunConfig& config, const trace::Reader& trace, const Progress& progress,
                   Timeline* timeline) {
  return needs_future(config) ? replay_with_future(config, trace, progress, timeline)
                              : Replay(config, trace, nullptr).run(progress, timeline);
}

}  // namespace kvr

// The prompt:                 stages that rank entries evict; units of what is left; stages that rank units
//                             evict; codecs with state store what is left, and the layouts place it
//
// Turn by turn, for the sequences that take part; those of a turn that is read in: attend to all that is
// live, follow as below; at its end stages evict as at the prompt's
//
// One step at position p:
//   the walk:                 bring in row p and its queries
//   each point:
//     every select stage:       rank the units of entries 0..p-1, ask the budget, choose of what is chosen
//     every head, in parallel:  attend, compare with the truth over 0..p, found by the first point
//     layer by layer:           split demands into hits and misses, plan reads;
//                               heads follow entry p; changes reach layout and cache; the cache evicts
//     every evict stage:        rank over 0..p, ask the budget, remove the rest; layout and cache hear of it
//     the machine:              lay the step's operations on its resources, find its latency

#include "sim/engine/point_replay.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "sim/base/error.hpp"
#include "sim/engine/dated.hpp"
#include "sim/engine/heads/prompt/prompt_record.hpp"
#include "sim/engine/invariants.hpp"
#include "sim/engine/memory/address_regions.hpp"
#include "sim/engine/point_notes.hpp"
#include "sim/engine/recording/recording.hpp"
#include "sim/engine/recording/reporting_policies.hpp"

namespace kvr {

PointReplay::PointReplay(const RunConfig& config, BatchWalk& walk, AccessRecord* accesses)
    : config_(config),
      walk_(walk),
      machine_(config, walk.header()),
      stages_(config, walk),
      members_(config.system.set_size(walk.kv_heads())),
      caches_(config, caches_of(config), machine_.memory_geometry(), walk.layers(), sets(), accesses),
      tiers_(config, machine_.memory_geometry(), walk.layers(), sets()),
      dram_budget_(config, machine_.memory_geometry(), caches_),
      reuses_(static_cast<std::size_t>(walk.layers() * sets())),
      data_(config.point, walk.steps(), walk.layers(), walk.kv_heads()),
      figures_(walk.kv_heads() / members_, data_) {
  data_.set_sequences(machine_.head_extrapolation().sequences, walk.sequences());
  data_.set_layer_numbers(walk.header().captured_layers);
  data_.set_head_numbers(walk.header().captured_kv_heads);
  data_.set_tier_names(machine_.link_names());
  if (config.charges_prefill) {
    const auto reads_in = [](const Turn& turn) { return turn.act == TurnAct::prefill; };
    data_.set_prefills(1 + std::ranges::count_if(walk.timetable().turns, reads_in));
  }
  if (std::ranges::any_of(config.system.stages, &StageConfig::estimates)) {
    data_.record(Metric::estimated_entries);
  }
  if (config.recorded_span.tokens > 0) {
    data_.record(Metric::span_true_mass);
    data_.record(Metric::span_mass);
  }
  for (const std::int64_t layer : stages_.speculating_layers()) {
    walk_.want_speculated(layer);
  }
  make_heads();
  make_layers();
  if (config.recorded_units) {
    check_unit_window(config, walk);
    units_ = std::make_unique<UnitRecorder>(config, *config.recorded_units, walk, members_);
  }
  add_policies(config, {heads_, stages_, memories_, caches_, tiers_, machine_}, figures_);
}

void PointReplay::set_running(std::span<const std::int64_t> sequences) {
  running_.assign(sequences.begin(), sequences.end());
  for (HeadPolicies& head : heads_) {
    if (std::ranges::find(running_, head.id().sequence) == running_.end()) {
      head.rest();
    } else {
      head.wake();
    }
  }
}

void PointReplay::for_running(const std::function<void(std::int64_t set)>& act) {
  walk_.workers().for_each(std::ssize(heads_), [&](std::int64_t set) {
    if (!heads_[static_cast<std::size_t>(set)].resting()) {
      act(set);
    }
  });
}

/// What stages remove of single entries is never clustered.
void PointReplay::begin_heads() {
  std::vector<std::optional<PromptRecord>> records(heads_.size());
  for (std::int64_t set = 0; set < std::ssize(heads_); ++set) {
    const HeadId first = walk_.head_id(set * members_);
    if (std::ranges::find(running_, first.sequence) != running_.end()) {
      records[static_cast<std::size_t>(set)].emplace(walk_.sequence(first.sequence),
                                                     first.layer * walk_.kv_heads() + first.head, members_,
                                                     stages_.needs());
    }
  }
  const auto prompt = [&](std::int64_t set) {
    const auto& record = records[static_cast<std::size_t>(set)];
    return record ? record->view() : PromptView();
  };
  for_running([&](std::int64_t set) { heads_[static_cast<std::size_t>(set)].begin(prompt(set)); });
  stages_.evict_prompt(StageUnits::token, heads_, walk_.workers());
  refuse_empty_heads();
  for_running([this](std::int64_t set) { heads_[static_cast<std::size_t>(set)].build(); });
  stages_.evict_prompt(StageUnits::clustering, heads_, walk_.workers());
  for_running([&](std::int64_t set) { heads_[static_cast<std::size_t>(set)].store_prompt(prompt(set)); });
}

/// There would be nothing to make units of.
void PointReplay::refuse_empty_heads() const {
  for (const HeadPolicies& head : heads_) {
    if (!head.resting() && head.live().empty()) {
      throw InputError(fmt::format(
          "{}: layer {}, head {}: stages leave nothing of the prompt of {} entries; allowed: budgets or pins "
          "that "
          "keep an entry of every head",
          config_.place("system.stages"),
          walk_.header().captured_layers[static_cast<std::size_t>(head.id().layer)],
          walk_.header().captured_kv_heads[static_cast<std::size_t>(head.id().head)],
          walk_.sequence(head.id().sequence).steps().first_position));
    }
  }
}

void PointReplay::load_prompt(std::span<const std::int64_t> sequences) {
  set_running(sequences);
  dated("when the prompt has been read", [this] { begin_heads(); });
  if (memories_.front().wants_co_retrieval()) {
    prompt_queries_.emplace(walk_, running_);
  }
  for (std::int64_t layer = 0; layer < walk_.layers(); ++layer) {
    std::vector<std::vector<CoRetrieval>> co_retrieval;
    if (prompt_queries_) {
      co_retrieval = prompt_queries_->co_retrieval(layer, heads_, stages_, walk_.workers());
    }
    memories_[static_cast<std::size_t>(layer)].place(co_retrieval);
  }
  check_space();
  place_prompt();
  keep_to_dram(0);
  if (prefill_) {
    prefill_->add(heads_, memories_);
  }
}

void PointReplay::place_prompt() {
  std::ranges::for_each(heads_, &HeadPolicies::forget_placed);
  if (stages_.place_prompt(heads_, walk_.workers())) {
    move_placed();
  }
}

void PointReplay::move_placed() {
  for (LayerMemory& memory : memories_) {
    memory.move_placed(residencies_);
  }
}

/// The last tier has everything that is live; of the first, what its caches hold counts.
double PointReplay::held_in(std::string_view tier, const HeadPolicies& head) const {
  const std::vector<std::string>& names = config_.system.tier_names;
  const auto place = static_cast<std::size_t>(std::ranges::find(names, tier) - names.begin());
  const std::int64_t of_sequence = walk_.kv_heads() / members_;
  const HeadId in_layer{head.id().layer, head.id().sequence * of_sequence + head.id().head};
  const auto set = static_cast<std::size_t>(in_layer.layer * sets() + in_layer.head);
  std::int64_t bytes = head.codec().sizes().sum(head.live()).bytes;
  if (place + 1 < names.size()) {
    bytes = place == 0 ? residencies_[set]->cached().bytes : tiers_.held_bytes(place - 1, in_layer);
  }
  return machine_.extrapolation().model_share(static_cast<double>(bytes));
}

/// Above the entries of a layer lies what else it keeps on flash.
void PointReplay::check_space() const {
  for (const LayerMemory& layer : memories_) {
    if (layer.places_end_bytes() > kFirstRepresentative) {
      throw InputError(
          fmt::format("{}: '{}' spreads the entries of a layer over {} bytes of flash; allowed: {}",
                      config_.place("system.layout"), config_.system.layout.type, layer.places_end_bytes(),
                      kFirstRepresentative));
    }
  }
}

void PointReplay::begin_step() {
  for_running([this](std::int64_t set) {
    std::vector<HeadQueries> queries;
    for (std::int64_t head = set * members_; head < (set + 1) * members_; ++head) {
      queries.push_back({walk_.queries(head), walk_.speculated(head)});
    }
    const std::int64_t sequence = walk_.head_id(set * members_).sequence;
    heads_[static_cast<std::size_t>(set)].begin_step(queries, walk_.sequence(sequence).token_class());
  });
}

void PointReplay::attend(bool judge) {
  for_running([this, judge](std::int64_t set) {
    HeadPolicies& policies = heads_[static_cast<std::size_t>(set)];
    std::vector<HeadTruth*> truths;
    for (std::int64_t head = set * members_; judge && head < (set + 1) * members_; ++head) {
      truths.push_back(&walk_.truth(head));
    }
    if (judge || policies.wants_attention()) {
      policies.attend(truths);
    }
  });
}

void PointReplay::move_entries() {
  std::int64_t most_brought = 0;
  for (std::int64_t layer = 0; layer < walk_.layers(); ++layer) {
    LayerMemory& memory = memories_[static_cast<std::size_t>(layer)];
    memory.swap_in(config_.system.virtual_memory, machine_.extrapolation().dim_ratio);
    memory.prefetch();
    look_at_choices(layer);
    memory.read();
    if (units_of_step_ != nullptr) {
      units_of_step_->after_read(layer, memory, heads_of(layer));
    }
    walk_.workers().for_each(sets(), [&](std::int64_t head) {
      if (HeadPolicies& policies = heads_of(layer)[static_cast<std::size_t>(head)]; !policies.resting()) {
        policies.follow(memory.residency(head));
      }
    });
    memory.settle(residencies_);
    if (config_.system.virtual_memory.representatives) {
      memory.write_representatives(machine_.extrapolation().dim_ratio);
    }
    most_brought = std::max(most_brought, memory.bytes_brought());
  }
  check_space();
  const std::int64_t ahead = std::min(stages_.most_lead(), machine_.extrapolation().layers - 1);
  buffered_bytes_ = most_brought * (1 + ahead);
}

void PointReplay::look_at_choices(std::int64_t layer) {
  if (units_of_step_ == nullptr) {
    return;
  }
  std::vector<HeadTruth*> truths;
  for (std::int64_t head = layer * walk_.heads_of_layer(); head < (layer + 1) * walk_.heads_of_layer();
       ++head) {
    truths.push_back(&walk_.truth(head));
  }
  units_of_step_->before_read(layer, memories_[static_cast<std::size_t>(layer)], heads_of(layer), truths);
}

void PointReplay::evict() {
  const auto held = [this](std::string_view tier, const HeadPolicies& head) { return held_in(tier, head); };
  if (stages_.evict(heads_, walk_.workers(), held)) {
    for (LayerMemory& memory : memories_) {
      memory.forget();
    }
  }
  if (stages_.place(heads_, walk_.workers(), held)) {
    move_placed();
  }
  keep_to_dram(buffered_bytes_);
}

void PointReplay::keep_to_dram(std::int64_t buffered_bytes) {
  dram_use_ = dram_use_of(memories_, heads_, buffered_bytes, machine_.memory_geometry());
  while (dram_budget_.reserve(dram_use_)) {  // again where what is evicted still waits to be written
    caches_.give_room(dram_budget_.room_bytes(), residencies_);
    tiers_.evict();
    dram_use_ = dram_use_of(memories_, heads_, buffered_bytes, machine_.memory_geometry());
  }
}

void PointReplay::record(std::int64_t step, const StepTimes& times) {
  data_.set(Metric::position, step, static_cast<double>(position()));
  data_.count_tokens(std::ssize(running_) * config_.copies);
  if (!config_.turns.empty()) {
    data_.set(Metric::turn, step, static_cast<double>(turn_));
  }
  data_.set(Metric::latency_s, step, times.latency_s());
  if (step == 0) {
    data_.set_prefills_before_steps(prefills_);
  }
  data_.set(Metric::compute_s, step, times.compute_s);
  data_.set(Metric::policy_s, step, machine_.policy_s());
  data_.set(Metric::io_s, step, times.io_s);
  data_.set(Metric::exposed_io_s, step, times.exposed_io_s);
  data_.set(Metric::hidden_io_s, step, times.hidden_io_s);
  if (tiers_.links() > 0) {
    data_.set(Metric::link_s, step, times.link_s);
    data_.set(Metric::exposed_link_s, step, times.exposed_link_s);
    record_tiers(memories_, tiers_.held_bytes(), machine_, step, data_);
  }
  record_critical(machine_, step, data_);
  record_lateness(machine_, step, data_);
  double space = 0.0;
  for (const LayerMemory& layer : memories_) {
    space += static_cast<double>(layer.space_bytes());
  }
  data_.set(Metric::cache_bytes, step, dram_use_.cache_bytes);
  data_.set(Metric::working_buffer_bytes, step, dram_use_.working_buffer_bytes);
  data_.set(Metric::write_buffer_bytes, step, dram_use_.write_buffer_bytes);
  data_.set(Metric::pinned_bytes, step, dram_use_.pinned_bytes);
  data_.set(Metric::representative_bytes, step, dram_use_.representatives_bytes);
  data_.set(Metric::metadata_bytes, step, dram_use_.metadata_bytes);
  data_.set(Metric::flash_space_bytes, step, machine_.extrapolation().model_share(space));
  record_energy(machine_.energy(), step, data_);
  for (std::int64_t layer = 0; layer < walk_.layers(); ++layer) {
    record_layer(memories_[static_cast<std::size_t>(layer)], heads_of(layer), machine_, {step, layer}, data_);
  }
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    reuses_[i].follow(heads_[i].demanded().units, heads_[i].changes());
    const std::int64_t first = static_cast<std::int64_t>(i) * members_;
    for (std::int64_t head = first; head < first + members_; ++head) {
      record_reuse(reuses_[i], {step, heads_[i].id().layer}, head % walk_.heads_of_layer(), data_);
    }
  }
  figures_.record(step);
  if (config_.host_timing) {
    record_kernel_times(heads_, step, data_);
  }
}

void PointReplay::step_policies(std::int64_t step) {
  dated(fmt::format("step {}", step), [&] { run_policies(false); });
}

void PointReplay::run_policies(bool judge) {
  begin_step();
  stages_.select(heads_, walk_.workers());
  attend(judge);
  move_entries();
  evict();
}

void PointReplay::begin(Timeline* timeline) {
  if (timeline != nullptr) {
    timeline_point_ =
        timeline->begin_point(config_.point, machine_.batches_outstanding(), machine_.link_names());
  }
}

void PointReplay::step(std::int64_t step, Timeline* timeline) {
  if (dram_budget_.exceeded()) {  // the run fails; what is left of it is for how much DRAM would do
    step_policies(step);
    return;
  }
  dated(fmt::format("step {}", step), [&] { run_step(step, timeline); });
}

void PointReplay::run_step(std::int64_t step, Timeline* timeline) {
  units_of_step_ = units_ && units_->wants(step) ? units_.get() : nullptr;
  if (units_of_step_ != nullptr) {
    units_of_step_->begin_step(step, memories_);
  }
  run_policies(true);
  if (units_of_step_ != nullptr) {
    units_of_step_->end_step(memories_, heads_);
  }
  if (config_.check_every_step) {
    check_invariants(heads_, memories_, caches_, tiers_);
  }
  const StepTimes times = machine_.run_step(memories_, heads_);
  record(step, times);
  if (timeline != nullptr && timeline->steps().contains(step)) {
    show(step, times, *timeline);
  }
  units_of_step_ = nullptr;  // what turns read in, and steps after DRAM was exceeded, are none of it
}

void PointReplay::show(std::int64_t step, const StepTimes& times, Timeline& timeline) const {
  const UnitsOfRead units_of = [this](const Operation& operation) {
    return units_of_step_->units_read(operation, machine_.extrapolation().captured_layer(operation.layer));
  };
  timeline.add_step(timeline_point_, step, position(), machine_.graph(), machine_.spans(), times,
                    units_of_step_ != nullptr ? units_of : UnitsOfRead());
}

std::vector<CacheUse> PointReplay::cache_uses() {
  std::vector<CacheUse> uses{{config_.system.tier_names.front(), caches_.replacement(),
                              caches_.of(0, 0).enabled(), caches_.gave_up()}};
  for (std::size_t level = 0; level < tiers_.levels().size(); ++level) {
    const CacheSet& caches = tiers_.levels()[level].caches();
    uses.push_back({config_.system.tiers[level].name, caches.replacement(),
                    caches.caches().front()->enabled(), caches.gave_up()});
  }
  return uses;
}

PointResult PointReplay::finish() {
  dram_budget_.check();
  check_invariants(heads_, memories_, caches_, tiers_);
  machine_.check_conservation();
  caches_.check_accesses();
  std::vector<std::string> notes = point_notes(config_, machine_, stages_, data_, cache_uses(),
                                               prompt_queries_ ? prompt_queries_->note() : "");
  if (units_) {
    data_.set_units(units_->take());
  }
  return {std::move(data_),
          config_.resolved_yaml,
          std::move(notes),
          config_.record_per_step,
          machine_.device().model_errors(),
          config_.variant,
          config_.seed};
}

}  // namespace kvr

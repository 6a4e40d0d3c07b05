#include "sim/engine/timing/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/memory/address_regions.hpp"

namespace kvr {
namespace {

/// `key`: where the configuration chooses the component.
template <class Interface>
std::unique_ptr<Interface> make(const RunConfig& config, std::string_view key, const ComponentChoice& choice,
                                const typename Interface::Context& context) {
  try {
    return Registry<Interface>::instance().create(choice.type, choice.values, context);
  } catch (const InputError& error) {
    throw config.placed(key, error);
  }
}

DecoderGeometry geometry_of(const trace::Header& header) {
  const trace::Geometry& g = header.geometry;
  const auto captured_layers = static_cast<std::int64_t>(header.captured_layers.size());
  const std::int64_t heads = header.kv_heads_captured();
  return {captured_layers, heads * g.group(), heads, g.head_dim, g.hidden_size, g.ffn_size, g.vocab_size};
}

}  // namespace

void check_parts(const RunConfig& config, const trace::Header& header) {
  ProblemList problems;
  problems.collect([&] {
    const auto model =
        make<LanguageModel>(config, "model", config.model, {geometry_of(header), config.sequences});
    extrapolate(config, model->geometry(), header);
  });
  HostCost host;
  problems.collect([&] { host = make<ComputeModel>(config, "phone", config.phone, {})->host_cost(); });
  problems.collect([&] {
    make<FlashDevice>(config, "device", config.device, {host, static_cast<std::uint64_t>(config.seed)});
  });
  const Codec::Context row{header.geometry.head_dim};
  problems.collect([&] { make<Codec>(config, "system.codec.k", config.system.key_codec, row); });
  problems.collect([&] { make<Codec>(config, "system.codec.v", config.system.value_codec, row); });
  problems.collect([&] { make<Schedule>(config, "system.schedule", config.system.schedule, {}); });
  problems.throw_if_any();
}

Machine::Machine(const RunConfig& config, const trace::Header& header)
    : model_(make<LanguageModel>(config, "model", config.model, {geometry_of(header), config.sequences})),
      phone_(make<ComputeModel>(config, "phone", config.phone, {})),
      device_(make<FlashDevice>(config, "device", config.device,
                                {phone_->host_cost(), static_cast<std::uint64_t>(config.seed)})),
      key_codec_(make<Codec>(config, "system.codec.k", config.system.key_codec, {header.geometry.head_dim})),
      value_codec_(
          make<Codec>(config, "system.codec.v", config.system.value_codec, {header.geometry.head_dim})),
      schedule_(make<Schedule>(config, "system.schedule", config.system.schedule, {})),
      scheduler_(*device_, schedule_->batches_outstanding(),
                 {phone_->io_contention(), phone_->host_cost(), device_->limits()}),
      energy_meter_(phone_->power(), *device_),
      heads_(extrapolate(config, model_->geometry(), header)),
      extrapolation_(config.system.heads_together ? as_one(heads_) : heads_),
      link_times_(config.system.tiers),
      on_flash_(config.system.on_flash),
      configured_working_set_bytes_(config.working_set_bytes),
      requests_(static_cast<std::size_t>(extrapolation_.layers)),
      guessed_links_(requests_.size()),
      guesses_(requests_.size()) {
  const std::int64_t d = model_->geometry().head_dim;
  head_entry_bytes_ = key_codec_->row_bytes(d) + value_codec_->row_bytes(d);
  entry_bytes_ = config.system.set_size(model_->geometry().kv_heads) * head_entry_bytes_;
}

std::vector<std::string> Machine::notes() const {
  std::vector<std::string> notes;
  if (model_->borrowed()) {
    notes.push_back("extrapolated: " + extrapolation_text(model_->geometry(), heads_));
  }
  if (heads_.sequences > 1) {
    notes.push_back(fmt::format(
        "sequences: {} decode together, all copies of the trace, step by step and with entries of their own; "
        "a step is a token of each, and metrics of bytes, DRAM and energy are of all",
        heads_.sequences));
  }
  for (std::string& note : device_->notes()) {
    notes.push_back(std::move(note));
  }
  return notes;
}

std::vector<std::pair<std::string_view, bool>> Machine::overlap_costs() const {
  const IoContention contention = phone_->io_contention();
  return {{"bandwidth of DRAM", contention.per_read_byte_s > 0.0},
          {"the core that submits", contention.per_host_s > 0.0},
          {"batches that meet in the device",
           schedule_->batches_outstanding() > 1 && device_->serves_batches_together()}};
}

double Machine::time_s(const Work& work, WeightFormat format) const {
  return work.flops > 0.0 || work.bytes > 0.0 ? phone_->time_s(work, format) : 0.0;
}

Machine::LayerCost Machine::cost_of(std::int64_t captured, std::span<const HeadPolicies> heads) const {
  const std::int64_t per_layer = std::ssize(heads) / extrapolation_.captured_layers;
  const auto own =
      heads.subspan(static_cast<std::size_t>(captured * per_layer), static_cast<std::size_t>(per_layer));
  const double copies = extrapolation_.head_share();
  Work score;
  Work update;
  Work attention;
  for (const HeadPolicies& head : own) {
    score += head.score_work();
    update += head.update_work();
    // Every query head computes over its own selection; what any of them needs is read from DRAM once.
    for (const MemberHead& member : head.members()) {
      const double attended = member.quality().attended;
      const double shared = static_cast<double>(head.entries_read()) / attended;
      attention += model_->attention(attended, shared * static_cast<double>(head_entry_bytes_));
    }
  }
  const double dim = extrapolation_.dim_ratio;
  LayerCost cost;
  const auto take = [&](const Work& work, WeightFormat format = WeightFormat::f16) {
    cost.bytes += work.bytes;
    return time_s(work, format);
  };
  const WeightFormat weights = model_->weight_format();
  LayerDemand& demand = cost.demand;
  demand.query_projection_s = take(model_->query_projection(), weights);
  demand.key_value_projection_s = take(model_->key_value_projection(), weights);
  const auto scaled = [&](const Work& work) {
    return Work{copies * dim * extrapolation_.group_ratio * work.flops, copies * dim * work.bytes};
  };
  demand.score_s = take(scaled(score));
  demand.attention_s = take(heads_.head_share() * attention);
  demand.output_projection_s = take(model_->output_projection(), weights);
  demand.feed_forward_s = take(model_->feed_forward(), weights);
  demand.update_s = take(copies * dim * update);
  if (const StageConfig* guess = own.front().guess()) {
    cost.lead_layers = guess->lead_layers;
    cost.rank_s = take(scaled(guess_work(own)));
    cost.guess_s = cost.rank_s;
    cost.speculates = guess->speculates();
    if (cost.speculates) {
      cost.guess_s += take(model_->query_projection(), weights);
    }
  }
  return cost;
}

Work Machine::guess_work(std::span<const HeadPolicies> heads) const {
  Work work;
  for (const HeadPolicies& head : heads) {
    work += head.guess_work();
  }
  return work;
}

void Machine::guess_ahead(std::int64_t layer, const LayerMemory& memory, const LayerCost& cost) {
  if (cost.lead_layers > 0) {
    std::vector<LinkDemand>& links = guessed_links_[static_cast<std::size_t>(layer)];
    links = link_times_.ahead(memory.tier_traffic(),
                              extrapolation_.head_share() * static_cast<double>(entry_bytes_));
    const std::int64_t from = std::max<std::int64_t>(0, layer - cost.lead_layers);
    guesses_[static_cast<std::size_t>(from)].push_back(
        {static_cast<std::int32_t>(layer), cost.guess_s,
         requests_[static_cast<std::size_t>(layer)].prefetch_reads.requests, links});
  }
}

bool Machine::RequestList::deals_one(const Extrapolation& extrapolation) {
  dealt += extrapolation.remainder();
  const bool due = dealt >= extrapolation.captured_kv_heads;
  dealt -= due ? extrapolation.captured_kv_heads : 0;
  return due;
}

void Machine::add_request(const Extent& extent, IoKind kind, std::int64_t region, RequestList& list) {
  const auto threads = static_cast<std::size_t>(phone_->host_cost().threads);
  list.requests.push_back({.kind = kind,
                           .thread = static_cast<std::uint16_t>(list.requests.size() % threads),
                           .offset_bytes = region * kLayerRegionBytes + extent.offset_bytes,
                           .length_bytes = extent.length_bytes});
  (kind == IoKind::read ? asked_read_bytes_ : asked_write_bytes_) += extent.length_bytes;
}

void Machine::ask_for(std::int64_t layer, const LayerMemory& from, bool asks_itself, LayerDemand& demand) {
  LayerRequests& lists = requests_[static_cast<std::size_t>(layer)];
  for (RequestList* list :
       {&lists.reads, &lists.prefetch_reads, &lists.writes, &lists.representative_reads, &lists.swap_reads}) {
    list->requests.clear();
  }
  for (std::int64_t copy = 0; copy < extrapolation_.copies(); ++copy) {
    const std::int64_t region = layer * extrapolation_.copies() + copy;
    const auto issue = [&](std::span<const Extent> extents, IoKind kind, RequestList& list) {
      for (const Extent& extent : extents) {
        if (copy < extrapolation_.repetitions() || list.deals_one(extrapolation_)) {
          add_request(extent, kind, region, list);
        }
      }
    };
    issue(from.reads(), IoKind::read, lists.reads);
    issue(from.prefetch_reads(), IoKind::read, asks_itself ? lists.reads : lists.prefetch_reads);
    issue(from.update_reads(), IoKind::read, lists.writes);
    issue(from.writes(), IoKind::write, lists.writes);
    issue(from.representative_reads(), IoKind::read, lists.representative_reads);
    issue(from.swap_reads(), IoKind::read, lists.swap_reads);
  }
  demand.reads = lists.reads.requests;
  demand.writes = lists.writes.requests;
  demand.representative_reads = lists.representative_reads.requests;
  demand.swap_reads = lists.swap_reads.requests;
  lists.links = link_times_.of(from.tier_traffic(), asks_itself,
                               extrapolation_.head_share() * static_cast<double>(entry_bytes_));
  demand.links = lists.links;
}

void Machine::set_working_set(double space_bytes) {
  const double bytes = configured_working_set_bytes_ > 0.0 ? configured_working_set_bytes_ : space_bytes;
  constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
  device_->set_working_set(bytes < static_cast<double>(kMost) ? static_cast<std::int64_t>(bytes) : kMost);
}

StepTimes Machine::run_step(std::span<const LayerMemory> layers, std::span<const HeadPolicies> heads) {
  const Work output_head = model_->output_head();
  double space_bytes = 0.0;
  double computed_bytes = output_head.bytes;
  policy_s_ = 0.0;
  demands_.clear();
  std::ranges::for_each(guesses_, [](auto& guesses) { guesses.clear(); });
  std::vector<LayerCost> captured;
  for (std::int64_t layer = 0; layer < extrapolation_.captured_layers; ++layer) {
    captured.push_back(cost_of(layer, heads));
  }
  for (std::int64_t m = 0; m < extrapolation_.layers; ++m) {
    const auto from = static_cast<std::size_t>(extrapolation_.captured_layer(m));
    LayerDemand demand = captured[from].demand;
    computed_bytes += captured[from].bytes;
    // Below the first layer there is none that could speculate.
    const bool asks_itself = m == 0 && captured[from].speculates;
    ask_for(m, layers[from], asks_itself, demand);
    space_bytes += static_cast<double>(layers[from].space_bytes()) * extrapolation_.head_share();
    demand.score_s += asks_itself ? captured[from].rank_s : 0.0;
    policy_s_ += demand.score_s + demand.update_s + (asks_itself ? 0.0 : captured[from].guess_s);
    demands_.push_back(demand);
    if (!asks_itself) {
      guess_ahead(m, layers[from], captured[from]);
    }
  }
  for (std::size_t m = 0; m < demands_.size(); ++m) {
    demands_[m].guesses = guesses_[m];
  }
  set_working_set(space_bytes);
  graph_.clear();
  schedule_->lay(demands_, time_s(output_head, model_->head_format()), graph_);
  const StepTimes times = scheduler_.run(graph_, now_s_, spans_);
  now_s_ = times.end_s;
  energy_ = energy_meter_.step(times, computed_bytes);
  return times;
}

void Machine::check_conservation() const {
  const DeviceStats stats = device_->stats();
  KVR_CHECK(stats.read_bytes == asked_read_bytes_, "{} bytes were asked for, {} read", asked_read_bytes_,
            stats.read_bytes);
  KVR_CHECK(stats.written_bytes == asked_write_bytes_, "{} bytes were to be written, {} were",
            asked_write_bytes_, stats.written_bytes);
}

}  // namespace kvr

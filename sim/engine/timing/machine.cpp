#include "sim/engine/timing/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/problem_list.hpp"
#include "sim/engine/heads/attention/head_codecs.hpp"
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

/// Of what has come up in a layer.
struct DecodeWork {
  Work attention;
  Work update;
};

DecodeWork decode_work(const LayerMemory& memory, std::span<const HeadPolicies> heads) {
  DecodeWork work;
  for (std::size_t head = 0; head < heads.size(); ++head) {
    const HeadTraffic& traffic = memory.head_traffic()[head];
    const Work& of_one = heads[head].codec().decode_work();
    work.attention += static_cast<double>(traffic.decoded_entries) * of_one;
    work.update += static_cast<double>(traffic.update_decoded_entries) * of_one;
  }
  return work;
}

DecoderGeometry geometry_of(const trace::Header& header) {
  const trace::Geometry& g = header.geometry;
  const auto captured_layers = static_cast<std::int64_t>(header.captured_layers.size());
  const std::int64_t heads = header.kv_heads_captured();
  return {captured_layers, heads * g.group(), heads, g.head_dim, g.hidden_size, g.ffn_size, g.vocab_size};
}

std::string sequences_text(const Extrapolation& e) {
  if (e.walked_sequences == 1) {
    return "all copies of the trace";
  }
  return e.sequences == e.walked_sequences
             ? "each a trace or a part of one"
             : fmt::format("copies of {} that are each a trace or a part of one", e.walked_sequences);
}

}  // namespace

void check_parts(const RunConfig& config, const trace::Header& header) {
  ProblemList problems;
  problems.collect([&] {
    const auto model = make<LanguageModel>(
        config, "model", config.model, {geometry_of(header), config.copies * std::ssize(config.sequences)});
    extrapolate(config, model->geometry(), header);
  });
  HostCost host;
  problems.collect([&] { host = make<ComputeModel>(config, "phone", config.phone, {})->host_cost(); });
  problems.collect([&] {
    make<FlashDevice>(config, "device", config.device, {host, static_cast<std::uint64_t>(config.seed)});
  });
  const Codec::Context row{header.geometry.head_dim};
  const CodecConfig& codec = config.system.codec;
  std::int64_t entry_bytes = 0;
  const auto make_codec = [&](std::string_view key, const ComponentChoice& choice, RowsOf rows) {
    return problems.collect([&] {
      const auto one = make<Codec>(config, key, choice, row);
      if (one->prompt_window() > 0 && rows != RowsOf::keys) {
        throw InputError(
            fmt::format("{}: '{}' fits itself to the prompt's queries, which ask keys alone; "
                        "allowed: it as system.codec.k",
                        config.place(key), choice.type));
      }
      check_head_codec(config, key, *one, rows, header);
      entry_bytes += one->row_bytes(row.head_dim);
    });
  };
  bool made = true;
  if (codec.joint) {
    made = make_codec("system.codec.joint", *codec.joint, RowsOf::both);
  } else {
    made = make_codec("system.codec.k", codec.keys, RowsOf::keys);
    made = make_codec("system.codec.v", codec.values, RowsOf::values) && made;
  }
  if (made && entry_bytes == 0 && config.system.on_flash) {
    problems.add(fmt::format(
        "{}: leaves nothing of an entry to be on flash; allowed: a codec of keys or of values that does, or "
        "tiers of memory",
        config.place("system.codec")));
  }
  problems.collect([&] { make<Schedule>(config, "system.schedule", config.system.schedule, {}); });
  problems.throw_if_any();
}

Machine::Machine(const RunConfig& config, const trace::Header& header)
    : make_model_([&config, geometry = geometry_of(header)](std::int64_t sequences) {
        return make<LanguageModel>(config, "model", config.model, {geometry, sequences});
      }),
      decoding_(config.copies * std::ssize(config.sequences)),
      model_(make_model_(decoding_)),
      phone_(make<ComputeModel>(config, "phone", config.phone, {})),
      device_(make<FlashDevice>(config, "device", config.device,
                                {phone_->host_cost(), static_cast<std::uint64_t>(config.seed)})),
      codecs_(config, header.geometry.head_dim),
      schedule_(make<Schedule>(config, "system.schedule", config.system.schedule, {})),
      scheduler_(*device_, schedule_->batches_outstanding(),
                 {phone_->io_contention(), phone_->host_cost(), device_->limits()}),
      energy_meter_(phone_->power(), *device_),
      heads_(extrapolate(config, model_->geometry(), header)),
      extrapolation_(config.system.heads_together ? as_one(heads_) : heads_),
      transfers_(config.system.tiers),
      tiers_(config.system.tiers),
      first_bandwidth_bytes_per_s_(config.system.first_bandwidth_bytes_per_s),
      places_(std::ranges::find(config.system.stages, Effect::place, &StageConfig::effect) !=
              config.system.stages.end()),
      virtual_memory_(config.system.virtual_memory),
      configured_working_set_bytes_(config.working_set_bytes),
      requests_(static_cast<std::size_t>(extrapolation_.layers)),
      guesses_(requests_.size()) {
  const std::int64_t d = model_->geometry().head_dim;
  members_ = config.system.set_size(model_->geometry().kv_heads);
  entry_bytes_ = codecs_.all.entry_bytes(members_, d);
  head_entry_bytes_ = static_cast<double>(entry_bytes_) / static_cast<double>(members_);
  raw_entry_bytes_ = 2 * members_ * d * static_cast<std::int64_t>(sizeof(Half));
}

Machine::OwnedCodecs::OwnedCodecs(const RunConfig& config, std::int64_t head_dim) {
  const auto add = [&](std::string_view key, const ComponentChoice& choice) {
    made.push_back(make<Codec>(config, key, choice, {head_dim}));
    return NamedCodec{made.back().get(), choice.type};
  };
  const CodecConfig& codec = config.system.codec;
  if (codec.joint) {
    all.joint = add("system.codec.joint", *codec.joint);
  } else {
    all.keys = add("system.codec.k", codec.keys);
    all.values = add("system.codec.v", codec.values);
  }
}

std::vector<std::string> Machine::notes() const {
  std::vector<std::string> notes;
  if (model_->borrowed()) {
    notes.push_back("extrapolated: " + extrapolation_text(model_->geometry(), heads_));
  }
  if (heads_.sequences > 1) {
    notes.push_back(fmt::format(
        "sequences: {} decode together, {}, step by step and with entries of their own; a step is a token of "
        "each, and metrics of bytes, DRAM and energy are of all",
        heads_.sequences, sequences_text(heads_)));
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

double Machine::in_place_bytes(std::span<const TierTraffic> traffic) const {
  RecordSum read;
  for (const TierTraffic& moved : traffic) {
    read += moved.in_place;
  }
  return moved_scale().bytes(read);
}

RecordScale Machine::record_scale(std::int64_t layer) const {
  const double heads = heads_.heads_of(layer);
  return {heads / static_cast<double>(members_), heads * head_entry_bytes_, entry_bytes_};
}

double Machine::mean_entry_bytes(const RecordSum& records) const {
  const std::int64_t less = records.entries * entry_bytes_ - records.bytes;
  return less == 0 ? head_entry_bytes_
                   : static_cast<double>(records.bytes) / static_cast<double>(records.entries * members_);
}

double Machine::attention_s(const Work& attention, std::span<const TierTraffic> traffic) const {
  const double first_bytes = attention.bytes - in_place_bytes(traffic);
  double longest_s = 0.0;
  for (std::size_t link = 0; link < traffic.size(); ++link) {
    longest_s =
        std::max(longest_s, in_place_bytes(traffic.subspan(link, 1)) / tiers_[link].bandwidth_bytes_per_s);
  }
  const bool by_phone = first_bandwidth_bytes_per_s_ == 0.0;
  const double computed_s = time_s({attention.flops, by_phone ? first_bytes : 0.0}, WeightFormat::f16);
  const double first_s = by_phone ? 0.0 : first_bytes / first_bandwidth_bytes_per_s_;
  return std::max({computed_s, first_s, longest_s});
}

Machine::LayerCost Machine::cost_of(std::int64_t captured, const LayerMemory& memory,
                                    std::span<const HeadPolicies> heads) const {
  const std::int64_t per_layer = std::ssize(heads) / extrapolation_.captured_layers;
  const auto own =
      heads.subspan(static_cast<std::size_t>(captured * per_layer), static_cast<std::size_t>(per_layer));
  const double copies = extrapolation_.head_share();
  Work score;
  Work update;
  Work attention;
  for (const HeadPolicies& head : own) {
    if (head.resting()) {
      continue;
    }
    score += head.score_work();
    update += head.update_work();
    // Every query head computes over its own selection; what any of them needs is read from DRAM once.
    for (const MemberHead& member : head.members()) {
      const double attended = member.quality().attended;
      const double shared = static_cast<double>(head.entries_read().entries) / attended;
      attention += model_->attention(attended, shared * mean_entry_bytes(head.entries_read()));
    }
  }
  const DecodeWork decode = decode_work(memory, own);
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
  const Work attending = heads_.head_share() * attention + copies * dim * decode.attention;
  cost.bytes += attending.bytes - in_place_bytes(memory.tier_traffic());
  demand.attention_s = attention_s(attending, memory.tier_traffic());
  demand.output_projection_s = take(model_->output_projection(), weights);
  demand.feed_forward_s = take(model_->feed_forward(), weights);
  demand.update_s = take(copies * dim * (update + decode.update));
  if (const StageConfig* guess = own.front().guess()) {
    cost.lead_layers = guess->lead();
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
    LayerRequests& requests = requests_[static_cast<std::size_t>(layer)];
    requests.ahead = transfers_.ahead(memory.tier_traffic(), moved_scale(), requests.by_use());
    const std::int64_t from = std::max<std::int64_t>(0, layer - cost.lead_layers);
    guesses_[static_cast<std::size_t>(from)].push_back(
        {static_cast<std::int32_t>(layer), cost.guess_s, requests.ahead});
  }
}

RequestsByUse Machine::LayerRequests::by_use() const {
  RequestsByUse by_use;
  std::ranges::transform(lists, by_use.begin(),
                         [](const RequestList& list) { return std::span(list.requests); });
  return by_use;
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
  LayerRequests& requests = requests_[static_cast<std::size_t>(layer)];
  for (RequestList& list : requests.lists) {
    list.requests.clear();
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
    for (const FlashTransfer& one : from.flash_transfers()) {
      const Use use = asks_itself && one.use == Use::prefetch ? Use::demand : one.use;
      issue(one.extents, one.kind, requests.lists[static_cast<std::size_t>(use)]);
    }
  }
  requests.transfers = transfers_.of(from.tier_traffic(), asks_itself, moved_scale(), requests.by_use());
  demand.transfers = requests.transfers;
  demand.leaves_by_writing = virtual_memory_.cache == CacheSwap::area;
}

void Machine::set_decoding(std::int64_t sequences) {
  if (sequences != decoding_) {
    decoding_ = sequences;
    model_ = make_model_(sequences);
  }
}

std::int64_t Machine::regions_bytes() const {
  return extrapolation_.layers * extrapolation_.copies() * kLayerRegionBytes;
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
    captured.push_back(cost_of(layer, layers[static_cast<std::size_t>(layer)], heads));
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

#include "sim/engine/recording/recording.hpp"

namespace kvr {
namespace {

void record_flash(const LayerMemory& memory, double copies, LayerRow row, PointData& data) {
  const auto set = [&](Metric metric, double value) { data.set(metric, row.step, row.layer, value); };
  // Whatever they are for.
  std::size_t requests = 0;
  std::int64_t bytes = 0;
  for (const FlashTransfer& moved : memory.flash_transfers()) {
    if (moved.kind == IoKind::read) {
      requests += moved.extents.size();
      bytes += total_bytes(moved.extents);
    }
  }
  set(Metric::read_requests, copies * static_cast<double>(requests));
  set(Metric::read_bytes, copies * static_cast<double>(bytes));
  set(Metric::update_read_bytes, copies * static_cast<double>(total_bytes(memory.extents(Use::update))));
  set(Metric::prefetch_read_bytes, copies * static_cast<double>(total_bytes(memory.extents(Use::prefetch))));
  if (memory.contiguity().runs > 0) {
    set(Metric::contiguous_mean_entries, memory.contiguity().mean_entries);
    set(Metric::contiguous_max_entries, memory.contiguity().max_entries);
  }
  set(Metric::write_bytes,
      copies * static_cast<double>(total_bytes(memory.extents(Use::update, IoKind::write))));
  const LayoutTraffic& traffic = memory.layout_traffic();
  set(Metric::appended_bytes, copies * static_cast<double>(traffic.appended_bytes));
  set(Metric::moved_bytes, copies * static_cast<double>(traffic.moved_bytes()));
  set(Metric::outgrown_units, copies * static_cast<double>(traffic.outgrown));
}

void record_quality(const HeadQuality& quality, LayerRow row, std::int64_t head, PointData& data) {
  const auto set = [&](Metric metric, double value) { data.set(metric, row.step, row.layer, head, value); };
  set(Metric::recall, quality.recall);
  set(Metric::mass, quality.mass);
  set(Metric::relative_mass, quality.relative_mass);
  set(Metric::output_error, quality.output_error);
  set(Metric::selected_entries, quality.selected);
  set(Metric::attended_entries, quality.attended);
  if (data.recorded(Metric::estimated_entries)) {
    set(Metric::estimated_entries, quality.estimated);
  }
  set(Metric::retained, quality.retained);
  set(Metric::retained_mass, quality.retained_mass);
  set(Metric::retained_recall, quality.retained_recall);
  set(Metric::needed_loaded, quality.needed_loaded);
  if (data.recorded(Metric::span_mass)) {
    set(Metric::span_true_mass, quality.span_true_mass);
    set(Metric::span_mass, quality.span_mass);
  }
}

/// `scale`: to one KV head, of all that it stands for.
void record_units(const HeadPolicies& policies, const HeadTraffic& traffic, const RecordScale& scale,
                  LayerRow row, std::int64_t head, PointData& data) {
  const auto set = [&](Metric metric, double value) { data.set(metric, row.step, row.layer, head, value); };
  set(Metric::units, static_cast<double>(policies.occupied_units()));
  set(Metric::unit_variance, policies.unit_variance());
  set(Metric::demanded_units, static_cast<double>(traffic.demanded_units));
  set(Metric::hit_units, static_cast<double>(traffic.hit_units));
  set(Metric::demanded_bytes, scale.bytes(traffic.demanded));
  set(Metric::hit_bytes, scale.bytes(traffic.hit));
  set(Metric::useful_read_bytes, scale.bytes(traffic.read));
  set(Metric::guessed_bytes, scale.bytes(traffic.guessed));
  set(Metric::rightly_guessed_bytes, scale.bytes(traffic.rightly_guessed));
}

void record_references(const HeadRecords& records, const HeadTraffic& traffic, const RecordScale& scale,
                       LayerRow row, std::int64_t head, PointData& data) {
  if (records.refers()) {
    const auto set = [&](Metric metric, const RecordSum& sum) {
      data.set(metric, row.step, row.layer, head, scale.bytes(sum));
    };
    set(Metric::reference_read_bytes, traffic.referred);
    set(Metric::referenced_bytes, records.held());
  }
}

}  // namespace

void record_layer(const LayerMemory& memory, std::span<const HeadPolicies> heads, const Machine& machine,
                  LayerRow row, PointData& data) {
  const double copies = machine.extrapolation().heads_of(row.layer);
  record_flash(memory, copies, row, data);
  const RecordScale scale = machine.record_scale(row.layer);
  std::int64_t head = 0;
  for (std::size_t set = 0; set < heads.size(); ++set) {
    for (const MemberHead& member : heads[set].members()) {
      if (heads[set].resting()) {
        ++head;
        continue;
      }
      record_quality(member.quality(), row, head, data);
      record_units(heads[set], memory.head_traffic()[set], scale, row, head, data);
      record_references(memory.records()[set], memory.head_traffic()[set], scale, row, head, data);
      ++head;
    }
  }
}

void record_reuse(const UpdateReuse& reuse, LayerRow row, std::int64_t head, PointData& data) {
  data.set(Metric::updated_units, row.step, row.layer, head, static_cast<double>(reuse.updated()));
  data.record(Metric::reused_within);  // all NaN where the run is too short
  for (std::size_t i = 0; i < kWindows.size(); ++i) {
    if (const auto reused = reuse.reused(kWindows[i])) {
      data.set_in_window(Metric::reused_within, row.step - kWindows[i], row.layer, head, i,
                         static_cast<double>(*reused));
    }
  }
}

void record_critical(const Machine& machine, std::int64_t step, PointData& data) {
  const CriticalTimes times = machine.critical_times();
  data.set(Metric::critical_compute_s, step, times.of(Resource::compute));
  data.set(Metric::critical_flash_s, step, times.of(Resource::flash));
  const bool links = !data.tier_names().empty();
  if (links) {
    data.set(Metric::critical_link_s, step, times.of(Resource::link));
  }
  for (std::size_t p = 0; p < kPurposes; ++p) {
    const auto purpose = static_cast<Purpose>(p);
    const bool over_link = purpose == Purpose::tier_read || purpose == Purpose::demotion;
    if ((!links && over_link) || (!machine.places() && purpose == Purpose::placement)) {
      continue;
    }
    data.set(critical_metric(purpose), step, times.of(purpose));
  }
}

void record_tiers(std::span<const LayerMemory> layers, std::span<const std::int64_t> held_bytes,
                  const Machine& machine, std::int64_t step, PointData& data) {
  const Extrapolation& model = machine.extrapolation();
  for (std::size_t tier = 0; tier < data.tier_names().size(); ++tier) {
    const auto set = [&](Metric metric, double value) {
      data.set_of_tier(metric, step, static_cast<std::int64_t>(tier), value);
    };
    const auto bytes_of = [&](auto records_of) {
      double bytes = 0.0;
      for (std::size_t layer = 0; layer < layers.size(); ++layer) {
        bytes += static_cast<double>(records_of(layers[layer].tier_traffic()[tier]).bytes) *
                 model.heads_of(static_cast<std::int64_t>(layer));
      }
      return bytes;
    };
    set(Metric::tier_asked_bytes, bytes_of([](const TierTraffic& moved) { return moved.asked; }));
    set(Metric::tier_hit_bytes, bytes_of([](const TierTraffic& moved) { return moved.hit(); }));
    set(Metric::tier_up_bytes, bytes_of([](const TierTraffic& moved) { return moved.up(); }));
    set(Metric::tier_down_bytes, bytes_of([](const TierTraffic& moved) { return moved.down(); }));
    set(Metric::tier_held_bytes, model.model_share(static_cast<double>(held_bytes[tier])));
  }
}

void record_lateness(const Machine& machine, std::int64_t step, PointData& data) {
  const Lateness late = machine.lateness();
  data.set(Metric::late_prefetches, step, static_cast<double>(late.prefetches));
  data.set(Metric::prefetch_wait_s, step, late.waited_s);
}

void record_energy(const StepEnergy& energy, std::int64_t step, PointData& data) {
  data.set(Metric::energy_j, step, energy.total_j());
  data.set(Metric::flash_energy_j, step, energy.flash_j);
  data.set(Metric::dram_energy_j, step, energy.dram_j);
  data.set(Metric::host_io_energy_j, step, energy.host_io_j);
  data.set(Metric::compute_energy_j, step, energy.compute_j);
  data.set(Metric::base_energy_j, step, energy.base_j);
}

void record_kernel_times(std::span<const HeadPolicies> heads, std::int64_t step, PointData& data) {
  KernelTimes times;
  for (const HeadPolicies& head : heads) {
    times += head.kernel_times();
  }
  data.set(Metric::score_kernel_s, step, times.score_s);
  data.set(Metric::update_kernel_s, step, times.update_s);
  data.set(Metric::attention_kernel_s, step, times.attention_s);
  data.set(Metric::truth_kernel_s, step, times.truth_s);
}

}  // namespace kvr

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/attention/set_codec.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/memory/memory_geometry.hpp"
#include "sim/engine/timing/critical_path.hpp"
#include "sim/engine/timing/energy_meter.hpp"
#include "sim/engine/timing/lateness.hpp"
#include "sim/engine/timing/layer_transfers.hpp"
#include "sim/engine/timing/prefill/prefill_account.hpp"
#include "sim/engine/timing/scheduler.hpp"
#include "sim/interfaces/codec.hpp"
#include "sim/interfaces/compute_model.hpp"
#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/language_model.hpp"
#include "sim/interfaces/schedule.hpp"
#include "traces/header.hpp"

namespace kvr {

/// Throws InputError with all that is wrong with the parts of a machine, unless nothing is.
void check_parts(const RunConfig& config, const trace::Header& header);

/// What it took to read tokens in.
struct Prefill {
  StepTimes times;
  StepEnergy energy;
  std::int64_t read_bytes = 0;
  std::int64_t write_bytes = 0;
};

std::int64_t total_length_bytes(std::span<const IoRequest> requests);

/// The simulated phone: turns what the captured layers did in a step into operations of every layer of the
/// model, lays them out and runs them.
class Machine {
 public:
  /// Throws InputError when the model cannot be made from the captured streams.
  Machine(const RunConfig& config, const trace::Header& header);

  /// Of what decides together: the layer's KV heads each, or all as one.
  const Extrapolation& extrapolation() const { return extrapolation_; }
  /// Of KV heads.
  const Extrapolation& head_extrapolation() const { return heads_; }
  MemoryGeometry memory_geometry() const {
    return {extrapolation_, virtual_memory_, entry_bytes_, block_bytes(), raw_entry_bytes_};
  }
  /// Whether a stage moves entries to where they belong.
  bool places() const { return places_; }
  /// How many flash operations may be outstanding at once.
  std::int64_t batches_outstanding() const { return schedule_->batches_outstanding(); }
  /// What it costs to read under computation, and whether it is counted.
  std::vector<std::pair<std::string_view, bool>> overlap_costs() const;
  std::vector<std::string> link_names() const { return transfers_.names(); }
  const LanguageModel& model() const { return *model_; }
  const FlashDevice& device() const { return *device_; }
  /// Addresses that the layers of one sequence take, whatever lies there.
  std::int64_t regions_bytes() const;
  const Schedule& schedule() const { return *schedule_; }
  std::int64_t block_bytes() const { return device_->limits().block_bytes; }
  /// What a reader of the results must know.
  std::vector<std::string> notes() const;

  /// K and V of one entry of all KV heads that decide together, as the codecs store them, the largest.
  std::int64_t entry_bytes() const { return entry_bytes_; }
  /// From records of heads that decide together to what one of them, of captured layer `layer`, stands for.
  RecordScale record_scale(std::int64_t layer) const;
  const StoreCodecs& codecs() const { return codecs_.all; }

  /// So many sequences take part in the steps to come; all unless set.
  void set_decoding(std::int64_t sequences);
  /// Reads in so many tokens, over all sequences: `layers` [captured layers] say what of each.
  Prefill read_in(std::span<const PrefillLayer> layers, std::int64_t tokens,
                  std::span<const LayerMemory> memories);
  /// One decode step: `layers` and `heads` [captured layers (* heads)] after their `settle`.
  StepTimes run_step(std::span<const LayerMemory> layers, std::span<const HeadPolicies> heads);
  const OperationGraph& graph() const { return graph_; }
  std::span<const Span> spans() const { return spans_; }
  /// What the last step's time was spent on where nothing hid it.
  CriticalTimes critical_times() const { return kvr::critical_times(graph_, spans_); }
  /// What of the last step's prefetches came late.
  Lateness lateness() const { return kvr::lateness(graph_, spans_); }
  /// Memory of the phone; 0: not known.
  std::int64_t dram_bytes() const { return phone_->dram_bytes(); }
  /// Simulated seconds that scoring and updating took in the last step.
  double policy_s() const { return policy_s_; }
  /// Energy of the last step.
  const StepEnergy& energy() const { return energy_; }
  /// Every byte asked for must have been served.
  void check_conservation() const;

 private:
  /// Of a system, made from its configuration.
  struct OwnedCodecs {
    OwnedCodecs(const RunConfig& config, std::int64_t head_dim);

    std::vector<std::unique_ptr<Codec>> made;
    StoreCodecs all;
  };

  /// The computing of one layer and what it moves between DRAM and the cores.
  struct LayerCost {
    LayerDemand demand;
    double rank_s = 0.0;  ///< of `guess_s`, without projecting queries
    double guess_s = 0.0;
    bool speculates = false;       ///< by the queries that the layer below takes its to be
    std::int64_t lead_layers = 0;  ///< 0: nothing is guessed for it
    double bytes = 0.0;
  };

  /// Requests for one use that a layer of the model makes in a step.
  struct RequestList {
    std::vector<IoRequest> requests;
    std::int64_t dealt = 0;  ///< what the heads left over are owed, in parts of a request; kept between steps

    /// Whether the next request of a captured layer is one of those issued for the heads left over.
    bool deals_one(const Extrapolation& extrapolation);
  };

  /// Behind the spans of a demand.
  struct LayerRequests {
    std::array<RequestList, kUses> lists;
    std::vector<Transfer> transfers;
    std::vector<Transfer> ahead;  ///< what is guessed for the layer

    RequestsByUse by_use() const;
  };

  LayerCost cost_of(std::int64_t captured, const LayerMemory& memory,
                    std::span<const HeadPolicies> heads) const;
  Work guess_work(std::span<const HeadPolicies> heads) const;
  /// Of what an entry stands for: those of all heads that share what is captured of it.
  RecordScale moved_scale() const {
    const double share = extrapolation_.head_share();
    return {share, share * static_cast<double>(entry_bytes_), entry_bytes_};
  }
  /// Of one KV head, on average over `records` of a set.
  double mean_entry_bytes(const RecordSum& records) const;
  double in_place_bytes(std::span<const TierTraffic> traffic) const;
  /// `attention`: of all heads of the layer. Tiers that are read in place are at once; the slowest decides.
  double attention_s(const Work& attention, std::span<const TierTraffic> traffic) const;
  void guess_ahead(std::int64_t layer, const LayerMemory& memory, const LayerCost& cost);
  /// `asks_itself`: what is guessed for the layer is among what it asks for.
  void ask_for(std::int64_t layer, const LayerMemory& from, bool asks_itself, LayerDemand& demand);
  void add_request(const Extent& extent, IoKind kind, std::int64_t region, RequestList& list);
  double time_s(const Work& work, WeightFormat format) const;
  std::vector<IoRequest> requests_of(std::int64_t layer, std::span<const Extent> extents, IoKind kind);
  void set_working_set(double space_bytes);

  std::function<std::unique_ptr<LanguageModel>(std::int64_t sequences)> make_model_;
  std::int64_t decoding_;  ///< sequences that `model_` is of
  std::unique_ptr<LanguageModel> model_;
  std::unique_ptr<ComputeModel> phone_;
  std::unique_ptr<FlashDevice> device_;
  OwnedCodecs codecs_;
  std::unique_ptr<Schedule> schedule_;
  Scheduler scheduler_;
  EnergyMeter energy_meter_;
  Extrapolation heads_;
  Extrapolation extrapolation_;
  LayerTransfers transfers_;
  std::vector<TierConfig> tiers_;
  double first_bandwidth_bytes_per_s_;
  bool places_;
  VirtualMemory virtual_memory_;
  std::int64_t members_ = 1;       ///< KV heads that decide together
  double head_entry_bytes_ = 0.0;  ///< of one of them, of the largest entries
  std::int64_t entry_bytes_ = 0;
  std::int64_t raw_entry_bytes_ = 0;
  double configured_working_set_bytes_ = 0.0;

  double now_s_ = 0.0;
  double policy_s_ = 0.0;
  StepEnergy energy_;
  std::int64_t asked_read_bytes_ = 0;
  std::int64_t asked_write_bytes_ = 0;
  std::vector<LayerRequests> requests_;  ///< [model layers]
  std::vector<LayerDemand> demands_;
  std::vector<std::vector<GuessDemand>> guesses_;  ///< [model layers]: what each guesses for later ones
  OperationGraph graph_;
  std::vector<Span> spans_;
};

}  // namespace kvr

#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/purpose.hpp"
#include "sim/interfaces/report.hpp"

namespace kvr {

enum class Resource : std::uint8_t { compute, flash, link };
constexpr std::size_t kResources = 3;

using OperationId = std::int32_t;

/// One piece of work on one resource. Either `duration_s` counts (compute, link) or `requests` do (flash).
struct Operation {
  Purpose purpose;
  std::int32_t layer;
  Resource resource;
  double duration_s = 0.0;
  std::span<const IoRequest> requests = {};
  std::vector<OperationId> after = {};
  std::int32_t link = 0;  ///< which one, where it runs on a link
};

/// What takes its operations by itself: computing, the flash, and each link after them.
constexpr std::size_t lane_of(Resource resource, std::int32_t link = 0) {
  return static_cast<std::size_t>(resource) + static_cast<std::size_t>(link);
}
inline std::size_t lane_of(const Operation& operation) {
  return lane_of(operation.resource, operation.link);
}

/// The operations of one step; an operation may depend on earlier ones only, so the graph has no cycle.
class OperationGraph {
 public:
  OperationId add(Operation operation) {
    operations_.push_back(std::move(operation));
    return static_cast<OperationId>(operations_.size() - 1);
  }
  std::span<const Operation> operations() const { return operations_; }
  void clear() { operations_.clear(); }

 private:
  std::vector<Operation> operations_;
};

/// Seconds that a layer needs of the link of one tier of memory below the first in one step, each for one
/// transfer.
struct LinkDemand {
  double read_s = 0.0;     ///< up: what attention misses and the tier has
  double forward_s = 0.0;  ///< up: what attention misses and the flash has, once it is read
  double update_s = 0.0;   ///< up: what updates of units ask for, whether the tier or the flash has it
  double demote_s = 0.0;   ///< down: what the tier above has evicted
  double write_s = 0.0;    ///< down: new entries, to a last tier
};

/// What is guessed of a later layer's selection while this one computes, and read ahead of it.
struct GuessDemand {
  std::int32_t for_layer;
  double guess_s = 0.0;
  std::span<const IoRequest> reads = {};
  std::span<const LinkDemand> links = {};  ///< what comes up, fastest tier first

  bool brings_something() const {
    return !reads.empty() ||
           std::ranges::any_of(links, [](const LinkDemand& one) { return one.read_s > 0.0; });
  }
};

/// Everything one layer has to do in one step: compute in seconds on the phone, flash as requests.
struct LayerDemand {
  double query_projection_s = 0.0;
  double key_value_projection_s = 0.0;
  double score_s = 0.0;
  double attention_s = 0.0;
  double output_projection_s = 0.0;
  double feed_forward_s = 0.0;
  double update_s = 0.0;  ///< clustering and summaries of the new entry
  std::span<const IoRequest> reads = {};
  std::span<const IoRequest> writes = {};
  std::span<const IoRequest> representative_reads = {};  ///< none unless they live on flash
  std::span<const IoRequest> swap_reads = {};  ///< what the cache holds of this layer, if it is virtual
  std::span<const LinkDemand> links = {};      ///< fastest tier first
  /// What may start as soon as this layer's input is there; where a layer has fewer layers before it than it
  /// leads by, it is guessed for in the first, itself if it is that.
  std::span<const GuessDemand> guesses = {};
};

/// Where a layer's cached entries are while other layers compute.
enum class CacheSwap : std::uint8_t {
  none,      ///< in DRAM
  in_place,  ///< where the layout has them, so that nothing is written; those it has not written yet: in DRAM
  area,      ///< in an area of the layer's own, written when they change and read in one run
};

/// What a schedule leaves on flash while other layers compute, so that DRAM holds it for one layer at a time.
struct VirtualMemory {
  bool representatives = false;  ///< what the scorer keeps about the units
  CacheSwap cache = CacheSwap::none;
};

/// Lays the operations of a step on the resources with their dependencies; the engine finds the times.
class Schedule {
 public:
  static constexpr std::string_view kKind = "schedule";
  struct Context {};

  virtual ~Schedule() = default;

  virtual VirtualMemory virtual_memory() const { return {}; }

  /// `layers` in order; `output_head_s` closes the step. Adds every operation with a positive cost to
  /// `graph`.
  virtual void lay(std::span<const LayerDemand> layers, double output_head_s,
                   OperationGraph& graph) const = 0;

  /// How many flash operations may be outstanding at once, at least 1; further ones wait until one is done.
  virtual std::int64_t batches_outstanding() const { return 1; }
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

}  // namespace kvr

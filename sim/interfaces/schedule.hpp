#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/purpose.hpp"

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

/// Why entries move between tiers.
enum class Use : std::uint8_t {
  representatives,  ///< what is ranked by, where it is on flash meanwhile
  swap,             ///< what the first tier holds of a layer, where it is on flash meanwhile
  demand,           ///< what attention misses
  prefetch,         ///< what is guessed to be demanded
  update,           ///< what changes of units read and write, behind attention
  demotion,         ///< what a tier has evicted, to the one below
  append,           ///< new entries, to a last tier that is memory
  placement,        ///< what belongs in another tier from now on
};
constexpr std::size_t kUses = 8;

/// A part of what a layer moves in a step: what the flash serves, or what goes over the link of a tier of
/// memory. A list of them is in the order of issue; where one is `behind` another it follows in the list.
struct Transfer {
  Use use;
  std::int32_t from;  ///< tiers, 0 the first; one of them is that whose link or device is taken
  std::int32_t to;
  bool behind = false;                       ///< carries on what the one before has brought
  std::span<const IoRequest> requests = {};  ///< of the flash
  double duration_s = 0.0;                   ///< of a link

  bool on_flash() const { return !requests.empty(); }
  /// Of a tier of memory.
  std::int32_t link() const { return (from > to ? from : to) - 1; }
};

/// What is guessed of a later layer's selection while this one computes, and read ahead of it.
struct GuessDemand {
  std::int32_t for_layer;
  double guess_s = 0.0;
  std::span<const Transfer> transfers = {};  ///< that bring it
};

/// Everything one layer has to do in one step: compute in seconds on the phone, and transfers.
struct LayerDemand {
  double query_projection_s = 0.0;
  double key_value_projection_s = 0.0;
  double score_s = 0.0;
  double attention_s = 0.0;
  double output_projection_s = 0.0;
  double feed_forward_s = 0.0;
  double update_s = 0.0;                     ///< clustering and summaries of the new entry
  std::span<const Transfer> transfers = {};  ///< but for what was read ahead
  bool leaves_by_writing =
      false;  ///< what the first tier holds has left once updates are written, not before
  /// What may start as soon as this layer's input is there; where a layer has fewer layers before it than it
  /// leads by, it is guessed for in the first, itself if it is that.
  std::span<const GuessDemand> guesses = {};
};

/// Lays the operations of a step on the resources with their dependencies; the engine finds the times.
class Schedule {
 public:
  static constexpr std::string_view kKind = "schedule";
  struct Context {};

  virtual ~Schedule() = default;

  /// `layers` in order; `output_head_s` closes the step. Adds every operation with a positive cost to
  /// `graph`.
  virtual void lay(std::span<const LayerDemand> layers, double output_head_s,
                   OperationGraph& graph) const = 0;

  /// How many flash operations may be outstanding at once, at least 1; further ones wait until one is done.
  virtual std::int64_t batches_outstanding() const { return 1; }
};

}  // namespace kvr

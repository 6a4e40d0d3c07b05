#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/heads/head_policies.hpp"
#include "sim/engine/memory/layer_memory.hpp"
#include "sim/engine/timing/timeline.hpp"
#include "sim/engine/walk/batch_walk.hpp"
#include "sim/results/units/recorded_units.hpp"

namespace kvr {

/// A window with more choices times entries to choose from is refused before anything is replayed.
constexpr std::int64_t kMostWindowEntries = std::int64_t{1} << 26;

/// Throws InputError where `record.units` asks for steps, layers, heads or sequences that are not there, or
/// for more than can be kept.
void check_unit_window(const RunConfig& config, const BatchWalk& walk,
                       std::int64_t most_entries = kMostWindowEntries);

/// Records, in the steps of `record.units`, what the stages of each set of heads chose and what memory was
/// asked for and read for it. It looks and changes nothing.
///
/// In a step: `begin_step`; for each layer, once everything is chosen and attended to, `before_read` between
/// LayerMemory's `prefetch` and `read`, and `after_read` behind that; after stages have evicted and placed,
/// `end_step`.
class UnitRecorder {
 public:
  /// Of what is recorded of a point; who reads it back can hold that.
  static constexpr std::int64_t kMostBytes = std::int64_t{512} << 20;

  /// `config` and `window`, which it has, outlive this. `members`: KV heads that decide together.
  UnitRecorder(const RunConfig& config, const UnitWindow& window, const BatchWalk& walk,
               std::int64_t members);

  bool wants(std::int64_t step) const { return window_->steps.contains(step); }
  /// Loads for updates are noted until `end_step`.
  void begin_step(std::int64_t step, std::span<LayerMemory> memories);
  /// `heads` [sets of the layer], `truths` [their heads], found.
  void before_read(std::int64_t layer, const LayerMemory& memory, std::span<const HeadPolicies> heads,
                   std::span<HeadTruth* const> truths);
  void after_read(std::int64_t layer, const LayerMemory& memory, std::span<const HeadPolicies> heads);
  /// `heads` [layers * sets].
  void end_step(std::span<LayerMemory> memories, std::span<const HeadPolicies> heads);

  /// What an operation of the flash, in a layer of the model that stands for a captured one, was for in the
  /// last step that was recorded: a line for each set of heads, naming its units.
  std::vector<std::string> units_read(const Operation& operation, std::int64_t captured_layer) const;

  RecordedUnits take() { return std::move(units_); }

 private:
  /// A set of heads whose choices are being recorded.
  struct Cell {
    std::int64_t layer;  ///< captured
    std::int64_t head;   ///< set of the layer
    const HeadPolicies& policies;
    const LayerMemory& memory;
    std::span<HeadTruth* const> truths;  ///< [members]; none: weights are not at hand
  };
  /// What is said of entries as they are added besides their weights.
  enum class Look {
    nothing,
    demand,  ///< where they are found, and what of them is read from flash
    guess,   ///< the same, of what is guessed to be demanded
  };
  /// Units that flash was read for, of one set of heads.
  struct ReadUnits {
    std::string heads;
    std::vector<std::int32_t> units;
  };

  bool in_window(const HeadPolicies& policies) const;
  /// `act(cell)` of each set of heads in the window, of a layer in it.
  template <class Act>
  void for_each_cell(std::int64_t layer, const LayerMemory& memory, std::span<const HeadPolicies> heads,
                     std::span<HeadTruth* const> truths, Act act) const;
  UnitRow row_of(const Cell& cell, UnitRole role, std::optional<std::size_t> stage = {},
                 std::int32_t query = -1) const;
  /// Throws InputError where so many more entries are too many.
  void check_room(std::size_t entries) const;
  /// Completes `row` by its entries and adds them.
  void add(UnitRow row, const Cell& cell, std::span<const EntryIndex> entries, Look look = Look::nothing);
  /// What is read for a row that is added next.
  void add_extents(UnitRow& row, std::vector<Extent> extents);
  /// The units of a selection, each like `like`. `scores` [units], or none.
  void add_selection(const Cell& cell, const Selection& selection, UnitRow like,
                     std::span<const float> scores, Look look = Look::nothing);
  void add_stage(const Cell& cell, std::size_t stage, UnitRole role, Look look = Look::nothing);
  void add_choices(const Cell& cell);
  void add_guess(const Cell& cell);
  void add_estimates(const Cell& cell, std::size_t stage);
  void add_attended_anyway(const Cell& cell);
  void add_missed(const Cell& cell);
  void add_references(const Cell& cell, std::span<const EntryIndex> entries, Purpose purpose);
  void add_acted(const Cell& cell);
  void add_removed(const Cell& cell);
  void add_loads(const Cell& cell);
  void add_requests(std::int64_t layer, const LayerMemory& memory);
  /// True softmax of an entry, mean of the query heads that `row` is for.
  float weight_of(const UnitRow& row, const Cell& cell, EntryIndex entry) const;
  void note_read(const UnitRow& row, const Cell& cell, Purpose purpose);

  const RunConfig* config_;
  const UnitWindow* window_;
  std::vector<std::int64_t> layer_numbers_;
  std::vector<std::int64_t> head_numbers_;
  std::int64_t members_;
  std::int64_t sets_;  ///< of a layer
  std::int32_t step_ = 0;
  std::vector<std::vector<UnitLoad>> loads_;  ///< [layers], of the step
  std::vector<std::set<EntryIndex>> ahead_;   ///< [sets of the layer]: references read ahead
  /// Of the step, by captured layer and operation.
  std::map<std::pair<std::int64_t, Purpose>, std::vector<ReadUnits>> read_for_;
  RecordedUnits units_;
};

template <class Act>
void UnitRecorder::for_each_cell(std::int64_t layer, const LayerMemory& memory,
                                 std::span<const HeadPolicies> heads, std::span<HeadTruth* const> truths,
                                 Act act) const {
  if (!window_->layers.contains(layer_numbers_[static_cast<std::size_t>(layer)])) {
    return;
  }
  const auto members = static_cast<std::size_t>(members_);
  for (std::size_t head = 0; head < heads.size(); ++head) {
    if (in_window(heads[head])) {
      act(Cell{layer, static_cast<std::int64_t>(head), heads[head], memory,
               truths.empty() ? truths : truths.subspan(head * members, members)});
    }
  }
}

}  // namespace kvr

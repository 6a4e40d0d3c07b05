#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"

namespace kvr {

/// An implementation and all its parameters, defaults filled in and ranges checked.
struct ComponentChoice {
  std::string type;
  ParamValues values;

  friend bool operator==(const ComponentChoice&, const ComponentChoice&) = default;
};

/// What becomes of the units that a stage ranks best: they are attended to, of those that are live and that
/// earlier stages chose; or they are kept and the rest is removed; or they are read before their layer asks;
/// or they come to be in a tier, and what is there and not among them leaves it.
enum class Effect { select, evict, prefetch, place };
/// Whose queries a stage ranks for: the layer's own; what the layer below speculates them to be; those of the
/// step before; or its own before any system can know them.
enum class Queries { own, previous_layer, last_step, oracle };
/// How the scores of a group's query heads become one score per unit.
enum class Fold { none, mean, max, sum };
/// What happens to a query head's scores before they are folded.
enum class Norm { none, softmax };
/// What happens to the unit that no longer fits the budget: taken in part, in member order, or left out.
enum class LastUnit { cut, drop };
/// What a stage ranks: the units of the system's clustering, or single entries.
enum class StageUnits { clustering, token };

/// Which heads a budget is divided among: one; those of a layer; those of all layers up to it; those of all.
enum class Scope { head, layer, layers_seen, model };

/// A number of entries, or a share of the prompt, rounded down; the larger.
struct PinnedEntries {
  std::int64_t entries = 0;
  double share = 0.0;

  std::int64_t of(std::int64_t prompt) const {
    return std::max(entries, static_cast<std::int64_t>(std::floor(share * static_cast<double>(prompt))));
  }
};

/// Layers of a model, as ranges; none: all.
struct LayerSet {
  struct Range {
    std::int64_t first;
    std::int64_t last;  ///< included

    friend bool operator==(const Range&, const Range&) = default;
  };
  std::vector<Range> ranges;

  bool contains(std::int64_t layer) const {
    return ranges.empty() || std::ranges::any_of(ranges, [layer](const Range& range) {
             return layer >= range.first && layer <= range.last;
           });
  }

  friend bool operator==(const LayerSet&, const LayerSet&) = default;
};

/// The budget of a stage that estimates nothing.
constexpr std::string_view kNoEstimate = "none";

/// What must be exceeded for a stage to act: a number of live entries, or bytes in a tier.
struct Overflow {
  std::int64_t entries = 0;
  std::string tier;        ///< empty: entries count
  std::int64_t bytes = 0;  ///< of the whole model; a head exceeds its share

  bool asked() const { return entries > 0 || !tier.empty(); }
};

/// One act of selecting, evicting or reading early.
struct StageConfig {
  std::string name;  ///< for those that take from it; empty: none does
  std::string take;  ///< the stage that chooses for it; empty: it chooses itself, by `scorer` and `budget`
  double recheck = 0.0;  ///< least cosine of a head's queries to those taken from; below it is ranked anew
  bool at_prompt_end = false;
  bool at_layer_end = false;
  bool at_step = false;
  std::int64_t every = 1;  ///< of the steps, or of the layers
  Overflow overflow;       ///< acts on heads that exceed it alone
  Effect effect = Effect::select;
  std::string tier;  ///< where a stage that places does
  LayerSet layers;
  StageUnits units = StageUnits::clustering;
  Queries queries = Queries::own;
  std::int64_t lead_layers = 1;  ///< how many layers before its own a stage that prefetches reads
  std::int64_t lead_steps = 0;   ///< 1: from the step's begin, what was guessed when the one before ended
  Fold fold = Fold::mean;
  Norm norm = Norm::none;
  LastUnit last_unit = LastUnit::cut;
  ComponentChoice scorer;
  ComponentChoice budget;
  ComponentChoice estimate;  ///< a budget: of what is not read, that the scorer's summaries stand for
  Scope scope = Scope::head;
  bool across_batch = false;   ///< the scope has the heads of all sequences
  PinnedEntries sinks;         ///< first entries, always selected or kept
  PinnedEntries recent;        ///< last entries, likewise
  bool counts_pending = true;  ///< what a clustering keeps in DRAM by itself is taken from the budget

  /// How many layers before its own it reads ahead, none of which may be there.
  std::int64_t lead() const {
    return lead_steps > 0 ? std::numeric_limits<std::int64_t>::max() : lead_layers;
  }
  bool takes() const { return !take.empty(); }
  bool estimates() const { return !estimate.type.empty() && estimate.type != kNoEstimate; }
  bool speculates() const { return !takes() && queries == Queries::previous_layer; }
  /// Whether it narrows what is attended to, or guesses that.
  bool chooses() const { return effect == Effect::select || effect == Effect::prefetch; }
};

}  // namespace kvr

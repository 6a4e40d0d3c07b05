// A step, for each layer and each set of its heads in the window:
//
//   chosen     by each stage that selects, of the last one with where entries are found and what is read
//   demanded   where that choice is no list of the clustering's units as they stand: the same of those
//   pinned, pending, estimated, prefetched
//   missed     for each query head, of what recall counts
//   reference  read because records refer to it
// then, once all layers are through: what stages kept, removed and placed, units that came up for updates,
// and what each layer asked the flash for
#include "sim/engine/recording/units/unit_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "sim/base/error.hpp"
#include "sim/engine/memory/flash_requests.hpp"

namespace kvr {
namespace {

constexpr std::array<std::string_view, 4> kEffects = {"select", "evict", "prefetch", "place"};

/// Its name, else what it does; several that do the same are told apart by their places.
std::vector<std::string> stage_names(const SystemConfig& system) {
  std::vector<std::string> names;
  for (const StageConfig& stage : system.stages) {
    const std::string name =
        stage.name.empty() ? std::string(kEffects.at(static_cast<std::size_t>(stage.effect))) : stage.name;
    const auto before = std::ranges::count_if(
        names, [&name](const std::string& other) { return other == name || other.starts_with(name + "@"); });
    names.push_back(before == 0 ? name : fmt::format("{}@{}", name, before + 1));
  }
  return names;
}

}  // namespace

UnitRecorder::UnitRecorder(const RunConfig& config, const UnitWindow& window, const BatchWalk& walk,
                           std::int64_t members)
    : config_(&config),
      window_(&window),
      layer_numbers_(walk.header().captured_layers),
      head_numbers_(walk.header().captured_kv_heads),
      members_(members),
      sets_(walk.heads_of_layer() / members),
      loads_(static_cast<std::size_t>(walk.layers())),
      ahead_(static_cast<std::size_t>(sets_)) {
  units_.stages = stage_names(config.system);
  units_.tiers = config.system.tier_names;
}

bool UnitRecorder::in_window(const HeadPolicies& policies) const {
  const HeadId id = policies.id();
  const bool has_head =
      members_ > 1 || window_->heads.contains(head_numbers_[static_cast<std::size_t>(id.head)]);
  return !policies.resting() && has_head && window_->sequences.contains(id.sequence);
}

void UnitRecorder::begin_step(std::int64_t step, std::span<LayerMemory> memories) {
  step_ = static_cast<std::int32_t>(step);
  read_for_.clear();
  for (std::size_t layer = 0; layer < memories.size(); ++layer) {
    loads_[layer].clear();
    memories[layer].note_loads(&loads_[layer]);
  }
}

void UnitRecorder::before_read(std::int64_t layer, const LayerMemory& memory,
                               std::span<const HeadPolicies> heads, std::span<HeadTruth* const> truths) {
  for_each_cell(layer, memory, heads, truths, [this](const Cell& cell) {
    add_choices(cell);
    add_attended_anyway(cell);
    add_guess(cell);
    add_missed(cell);
    std::set<EntryIndex>& ahead = ahead_[static_cast<std::size_t>(cell.head)];
    ahead = cell.memory.referred(cell.head);
    add_references(cell, std::vector(ahead.begin(), ahead.end()), Purpose::prefetch);
  });
}

void UnitRecorder::after_read(std::int64_t layer, const LayerMemory& memory,
                              std::span<const HeadPolicies> heads) {
  for_each_cell(layer, memory, heads, {}, [this](const Cell& cell) {
    std::vector<EntryIndex> now;
    std::ranges::set_difference(cell.memory.referred(cell.head), ahead_[static_cast<std::size_t>(cell.head)],
                                std::back_inserter(now));
    add_references(cell, now, Purpose::read);
  });
}

UnitRow UnitRecorder::row_of(const Cell& cell, UnitRole role, std::optional<std::size_t> stage,
                             std::int32_t query) const {
  const HeadId id = cell.policies.id();
  UnitRow row;
  row.step = step_;
  row.layer = static_cast<std::int32_t>(layer_numbers_[static_cast<std::size_t>(cell.layer)]);
  row.sequence = static_cast<std::int32_t>(id.sequence);
  row.kv_head =
      members_ > 1 ? -1 : static_cast<std::int32_t>(head_numbers_[static_cast<std::size_t>(id.head)]);
  row.query_head = query;
  row.stage = stage ? static_cast<std::int32_t>(*stage) : -1;
  row.role = static_cast<std::int32_t>(role);
  return row;
}

float UnitRecorder::weight_of(const UnitRow& row, const Cell& cell, EntryIndex entry) const {
  if (cell.truths.empty()) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  const std::int64_t group = cell.policies.members().front().group();
  const auto weight = [&](std::int64_t query) {
    const HeadTruth& truth = *cell.truths[static_cast<std::size_t>(query / group)];
    return static_cast<double>(truth.probabilities(query % group)[static_cast<std::size_t>(entry)]);
  };
  if (row.query_head >= 0) {
    return static_cast<float>(weight(row.query_head));
  }
  double sum = 0.0;
  for (std::int64_t query = 0; query < group * members_; ++query) {
    sum += weight(query);
  }
  return static_cast<float>(sum / static_cast<double>(group * members_));
}

void UnitRecorder::check_room(std::size_t entries) const {
  std::size_t bytes = entries * sizeof(UnitEntry);
  units_.for_each_table(
      [&bytes](std::string_view, const auto& rows) { bytes += rows.size() * sizeof(rows.front()); });
  if (bytes > static_cast<std::size_t>(kMostBytes)) {
    throw InputError(fmt::format("{}: more than {} MiB by step {}; allowed: fewer steps, layers or heads",
                                 config_->place("record.units"), kMostBytes >> 20, step_));
  }
}

void UnitRecorder::add(UnitRow row, const Cell& cell, std::span<const EntryIndex> entries, Look look) {
  check_room(entries.size());
  row.entry_count = static_cast<std::int32_t>(entries.size());
  row.in_first_tier = look == Look::nothing ? -1 : 0;
  double weight = 0.0;
  std::vector<EntryIndex> read;
  for (const EntryIndex entry : entries) {
    UnitEntry one{.position = entry, .tier = -1, .weight = weight_of(row, cell, entry)};
    weight += static_cast<double>(one.weight);
    if (look != Look::nothing) {
      one.tier = cell.memory.tier_of(cell.head, entry);
      const bool ahead = one.tier > 0 && look == Look::demand && cell.memory.came_ahead(cell.head, entry);
      row.in_first_tier += one.tier == 0 ? 1 : 0;
      row.came_ahead += ahead ? 1 : 0;
      if (!ahead && cell.memory.lies_on_flash(cell.head, entry)) {
        read.push_back(entry);
      }
    }
    units_.entries.push_back(one);
  }
  row.weight = static_cast<float>(weight);
  if (!read.empty()) {
    std::vector<Extent> extents;
    cell.memory.locate(cell.head, row.unit, read, extents);
    add_extents(row, std::move(extents));
    note_read(row, cell, look == Look::guess ? Purpose::prefetch : Purpose::read);
  }
  units_.choices.push_back(row);
}

void UnitRecorder::add_extents(UnitRow& row, std::vector<Extent> extents) {
  merge_extents(extents);
  row.extent_count = static_cast<std::int32_t>(extents.size());
  std::ranges::transform(extents, std::back_inserter(units_.extents), [](const Extent& extent) {
    return UnitExtent{extent.offset_bytes, extent.length_bytes};
  });
}

void UnitRecorder::add_selection(const Cell& cell, const Selection& selection, UnitRow like,
                                 std::span<const float> scores, Look look) {
  const bool named = like.unit >= 0;
  for (const UnitChoice& choice : selection.units) {
    like.unit = named ? choice.unit : -1;
    ++like.rank;
    const auto unit = static_cast<std::size_t>(choice.unit);
    like.score = unit < scores.size() ? scores[unit] : std::numeric_limits<float>::quiet_NaN();
    add(like, cell, entries_of(selection, choice), look);
  }
}

void UnitRecorder::add_stage(const Cell& cell, std::size_t stage, UnitRole role, Look look) {
  const HeadStage& one = *cell.policies.stage(stage);
  const std::span<const Selection> selections = one.selections();
  for (std::size_t s = 0; s < selections.size(); ++s) {
    UnitRow like = row_of(cell, role, stage, selections.size() == 1 ? -1 : static_cast<std::int32_t>(s));
    like.unit = one.chose_units() || one.ranks_tokens() ? 0 : -1;  // else they are another layer's
    add_selection(cell, selections[s], like, one.config().takes() ? std::span<const float>() : one.ranking(s),
                  look);
  }
}

void UnitRecorder::add_choices(const Cell& cell) {
  const HeadPolicies& policies = cell.policies;
  bool all_told = false;
  for (std::size_t stage = 0; stage < policies.stage_count(); ++stage) {
    if (!policies.runs(stage) || policies.stage(stage)->config().effect != Effect::select) {
      continue;
    }
    const HeadStage& one = *policies.stage(stage);
    const bool is_demand =
        policies.last_select() == stage && one.chose_units() && one.selections().size() == 1;
    all_told |= is_demand;
    add_stage(cell, stage, UnitRole::chosen, is_demand ? Look::demand : Look::nothing);
    add_estimates(cell, stage);
  }
  if (!all_told) {
    UnitRow like = row_of(cell, UnitRole::demanded);
    like.unit = 0;
    add_selection(cell, policies.demanded(), like, {}, Look::demand);
  }
}

void UnitRecorder::add_guess(const Cell& cell) {
  const std::optional<std::size_t>& guess = cell.policies.guessing_stage();
  if (!guess) {
    return;
  }
  const HeadStage& stage = *cell.policies.stage(*guess);
  const bool as_chosen = !stage.config().takes() && stage.chose_units() && stage.selections().size() == 1;
  UnitRow like = row_of(cell, UnitRole::prefetched, guess);
  like.unit = 0;
  add_selection(cell, cell.policies.guessed(), like, as_chosen ? stage.ranking(0) : std::span<const float>(),
                Look::guess);
}

/// What of a unit is estimated is what its stage might have chosen and did not.
void UnitRecorder::add_estimates(const Cell& cell, std::size_t stage) {
  const HeadStage& one = *cell.policies.stage(stage);
  const std::vector<Candidates> candidates = cell.policies.open().of(one);
  const Clustering& units = one.ranks_tokens() ? *one.own_units() : cell.policies.clustering();
  const std::size_t selections = one.selections().size();
  for (std::size_t s = 0; s < selections; ++s) {
    const std::vector<EntryIndex>& chosen = one.selections()[s].entries;
    UnitRow row =
        row_of(cell, UnitRole::estimated, stage, selections == 1 ? -1 : static_cast<std::int32_t>(s));
    for (const SketchedUnit& sketch : one.sketched(s)) {
      std::vector<EntryIndex> left;
      std::ranges::copy_if(units.members(sketch.unit), std::back_inserter(left), [&](EntryIndex entry) {
        return candidates[candidates.size() == 1 ? 0 : s].contains(entry) &&
               std::ranges::find(chosen, entry) == chosen.end();
      });
      row.unit = sketch.unit;
      ++row.rank;
      row.score = one.ranking(s)[static_cast<std::size_t>(sketch.unit)];
      add(row, cell, left);
    }
  }
}

void UnitRecorder::add_attended_anyway(const Cell& cell) {
  const HeadPolicies& policies = cell.policies;
  if (const std::vector<EntryIndex> pinned = policies.pinned(); !pinned.empty()) {
    add(row_of(cell, UnitRole::pinned), cell, pinned);
  }
  const Clustering& units = policies.clustering();
  for (UnitId unit = 0; unit < units.unit_count(); ++unit) {
    std::vector<EntryIndex> pending;
    std::ranges::copy_if(units.pending(unit), std::back_inserter(pending),
                         [&](EntryIndex entry) { return policies.range().contains(entry); });
    if (!pending.empty()) {
      UnitRow row = row_of(cell, UnitRole::pending);
      row.unit = unit;
      add(row, cell, pending);
    }
  }
}

void UnitRecorder::add_missed(const Cell& cell) {
  for (std::size_t member = 0; member < cell.truths.size(); ++member) {
    const std::int64_t group = cell.policies.members()[member].group();
    for (std::int64_t query = 0; query < group; ++query) {
      const std::vector<EntryIndex> missed = cell.policies.missed(member, query, *cell.truths[member]);
      if (!missed.empty()) {
        const std::int64_t of_set = static_cast<std::int64_t>(member) * group + query;
        add(row_of(cell, UnitRole::missed, {}, static_cast<std::int32_t>(of_set)), cell, missed);
      }
    }
  }
}

void UnitRecorder::add_references(const Cell& cell, std::span<const EntryIndex> entries, Purpose purpose) {
  if (entries.empty()) {
    return;
  }
  UnitRow row = row_of(cell, UnitRole::reference);
  std::vector<Extent> extents;
  for (const EntryIndex& entry : entries) {
    if (cell.memory.lies_on_flash(cell.head, entry)) {
      const UnitId unit = cell.memory.records()[static_cast<std::size_t>(cell.head)].unit_of(entry);
      cell.memory.locate(cell.head, unit, {&entry, 1}, extents);
    }
  }
  add_extents(row, std::move(extents));
  note_read(row, cell, purpose);
  add(row, cell, entries);
}

void UnitRecorder::note_read(const UnitRow& row, const Cell& cell, Purpose purpose) {
  if (row.extent_count == 0 || row.unit < 0) {
    return;
  }
  std::string heads = row.kv_head < 0 ? "all KV heads" : fmt::format("KV head {}", row.kv_head);
  if (config_->sequences.size() > 1) {
    heads = fmt::format("sequence {}, {}", row.sequence, heads);
  }
  std::vector<ReadUnits>& all = read_for_[{cell.layer, purpose}];
  if (all.empty() || all.back().heads != heads) {
    all.push_back({std::move(heads), {}});
  }
  all.back().units.push_back(row.unit);
}

std::vector<std::string> UnitRecorder::units_read(const Operation& operation,
                                                  std::int64_t captured_layer) const {
  std::vector<std::string> lines;
  const auto tell = [&](Purpose purpose) {
    if (const auto found = read_for_.find({captured_layer, purpose}); found != read_for_.end()) {
      std::ranges::transform(found->second, std::back_inserter(lines), [](const ReadUnits& one) {
        return fmt::format("{}: units {}", one.heads, fmt::join(one.units, ", "));
      });
    }
  };
  tell(operation.purpose);
  const bool speculates = std::ranges::any_of(config_->system.stages, &StageConfig::speculates);
  if (operation.layer == 0 && operation.purpose == Purpose::read && speculates) {
    tell(Purpose::prefetch);  // below the first layer nobody could: it asks itself
  }
  return lines;
}

}  // namespace kvr

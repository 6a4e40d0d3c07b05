// What a step did to units once all layers were through: what stages kept, removed and placed, units that
// came up for updates, and what each layer asked the flash for.
#include <map>
#include <vector>

#include "sim/engine/recording/units/unit_recorder.hpp"

namespace kvr {

void UnitRecorder::end_step(std::span<LayerMemory> memories, std::span<const HeadPolicies> heads) {
  for (std::size_t l = 0; l < memories.size(); ++l) {
    const auto layer = static_cast<std::int64_t>(l);
    const auto sets = static_cast<std::size_t>(sets_);
    for_each_cell(layer, memories[l], heads.subspan(l * sets, sets), {}, [this](const Cell& cell) {
      add_acted(cell);
      add_removed(cell);
      add_loads(cell);
    });
    if (window_->layers.contains(layer_numbers_[l])) {
      add_requests(layer, memories[l]);
    }
    memories[l].note_loads(nullptr);
  }
}

void UnitRecorder::add_acted(const Cell& cell) {
  for (std::size_t stage = 0; stage < cell.policies.stage_count(); ++stage) {
    if (!cell.policies.runs(stage) || !cell.policies.acted(stage)) {
      continue;
    }
    if (cell.policies.stage(stage)->config().effect == Effect::evict) {
      add_stage(cell, stage, UnitRole::kept);
    } else if (const Selection* placed = cell.policies.placed(); placed != nullptr) {
      UnitRow like = row_of(cell, UnitRole::placed, stage);
      like.unit = 0;
      add_selection(cell, *placed, like, {});
    }
  }
}

void UnitRecorder::add_removed(const Cell& cell) {
  std::map<UnitId, std::vector<EntryIndex>> removed;
  for (const Change& change : cell.policies.removals()) {
    if (change.kind == ChangeKind::removed) {
      removed[change.unit].push_back(change.entry);
    }
  }
  for (const auto& [unit, entries] : removed) {
    UnitRow row = row_of(cell, UnitRole::removed);
    row.unit = unit;
    add(row, cell, entries);
  }
}

void UnitRecorder::add_loads(const Cell& cell) {
  for (const UnitLoad& load : loads_[static_cast<std::size_t>(cell.layer)]) {
    if (load.head != cell.head) {
      continue;
    }
    UnitRow row = row_of(cell, UnitRole::loaded);
    row.unit = load.unit;
    add_extents(row, load.extents);
    note_read(row, cell, Purpose::write);
    const auto first = units_.entries.size();
    add(row, cell, load.entries);
    for (std::size_t i = 0; i < load.tiers.size(); ++i) {
      units_.entries[first + i].tier = load.tiers[i];
    }
  }
}

void UnitRecorder::add_requests(std::int64_t layer, const LayerMemory& memory) {
  const auto number = static_cast<std::int32_t>(layer_numbers_[static_cast<std::size_t>(layer)]);
  for (const FlashTransfer& moved : memory.flash_transfers()) {
    if (moved.kind == IoKind::read) {
      for (const Extent& extent : moved.extents) {
        units_.requests.push_back(
            {step_, number, static_cast<std::int32_t>(moved.use), extent.offset_bytes, extent.length_bytes});
      }
    }
  }
}

}  // namespace kvr

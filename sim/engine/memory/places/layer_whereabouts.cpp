// Where entries are found, for who records it.
#include <iterator>
#include <utility>
#include <vector>

#include "sim/engine/memory/layer_memory.hpp"

namespace kvr {

std::int32_t LayerMemory::tier_of(std::int64_t head, EntryIndex entry) const {
  if (residencies_[static_cast<std::size_t>(head)].in_dram(entry)) {
    return 0;
  }
  return static_cast<std::int32_t>(1 + tiers_->holder_of(id(head), entry));
}

bool LayerMemory::lies_on_flash(std::int64_t head, EntryIndex entry) const {
  return on_flash() && tier_of(head, entry) > std::ssize(tiers_->levels());
}

/// What is missing of `unit` is about to come up.
void LayerMemory::note_load(std::int64_t head, UnitId unit) const {
  if (loads_ == nullptr || missing_.empty()) {
    return;
  }
  UnitLoad load{head, unit, missing_, {}, {}};
  std::vector<EntryIndex> on_flash;
  for (const EntryIndex entry : missing_) {
    load.tiers.push_back(tier_of(head, entry));
    if (lies_on_flash(head, entry) && !referred(head).contains(entry)) {
      on_flash.push_back(entry);
    }
  }
  if (!on_flash.empty()) {
    locate(head, unit, on_flash, load.extents);
  }
  loads_->push_back(std::move(load));
}

}  // namespace kvr

// What comes up because others are decoded with it.
#include <algorithm>
#include <span>
#include <vector>

#include "sim/engine/memory/layer_memory.hpp"

namespace kvr {

bool LayerMemory::came_ahead(std::int64_t head, EntryIndex entry) const {
  const auto h = static_cast<std::size_t>(head);
  return std::ranges::binary_search(guessed_[h], entry) || referred_[h].contains(entry);
}

/// What came because others refer to it, and is then demanded itself, counts as that.
void LayerMemory::count_arrived(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  RecordSum along;
  for (const EntryIndex entry : arrived_) {
    if (referred_[h].contains(entry)) {
      along += sizes(head).sum(entry);
    }
  }
  traffic_[h].rightly_guessed += sizes(head).sum(arrived_) - along;
  traffic_[h].referred -= along;
}

void LayerMemory::bring_along(std::int64_t head, std::span<const EntryIndex> entries, TierUse use,
                              std::vector<Extent>& records) {
  const auto h = static_cast<std::size_t>(head);
  if (!records_[h].refers() || !has_lower_tier()) {
    return;
  }
  std::vector<EntryIndex> along =
      records_[h].read_along(entries, [&](EntryIndex entry) { return came_ahead(head, entry); });
  referred_[h].insert(along.begin(), along.end());
  traffic_[h].referred += sizes(head).sum(along);
  (use == TierUse::update ? traffic_[h].update_decoded_entries : traffic_[h].decoded_entries) +=
      std::ssize(along);
  tiers_->bring_along(id(head), use, along);
  for (const EntryIndex& entry : along) {
    locate(head, records_[h].unit_of(entry), {&entry, 1}, records);
  }
}

}  // namespace kvr

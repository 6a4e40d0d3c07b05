// What of a layer is where: counts and places that others ask for.
#include <algorithm>
#include <iterator>

#include "sim/engine/memory/flash_requests.hpp"
#include "sim/engine/memory/layer_memory.hpp"

namespace kvr {

std::vector<Extent> LayerMemory::live_on_flash() const {
  std::vector<Extent> records;
  for (std::size_t h = 0; on_flash() && h < heads_.size(); ++h) {
    const auto head = static_cast<std::int64_t>(h);
    const Clustering& clustering = heads_[h].clustering();
    const HeadResidency& here = residencies_[h];
    const CandidateRange range = heads_[h].range_of_all();  // before the first step nobody has told it
    for (UnitId unit = 0; !heads_[h].resting() && unit < clustering.unit_count(); ++unit) {
      std::vector<EntryIndex> entries;
      std::ranges::copy_if(clustering.members(unit), std::back_inserter(entries), [&](EntryIndex entry) {
        return range.contains(entry) && !here.entry_resident(entry) && !here.entry_pending(entry) &&
               !here.entry_unwritten(entry) && !tiers_->has(id(head), entry);
      });
      locate(head, unit, entries, records);
    }
  }
  return records;
}

std::int64_t LayerMemory::cached_entries() const {
  std::int64_t entries = 0;
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    if (!has_lower_tier()) {
      entries += heads_[head].live().size() - heads_[head].always_visible() + records_[head].held();
      continue;
    }
    for (UnitId unit = 0; unit < heads_[head].clustering().unit_count(); ++unit) {
      entries += residencies_[head].count(unit);
    }
  }
  return entries;
}

std::int64_t LayerMemory::unwritten_cached_entries() const {
  std::int64_t entries = 0;
  for (std::size_t head = 0; on_flash() && head < heads_.size(); ++head) {
    for (const EntryIndex entry : residencies_[head].unwritten()) {
      entries += residencies_[head].entry_resident(entry) ? 1 : 0;
    }
  }
  return entries;
}

std::int64_t LayerMemory::space_bytes() const {
  return layout_.space_bytes() + total_bytes(extents(Use::representatives)) +
         (swap_area_ ? swap_area_->space_bytes() : 0);
}

std::int64_t LayerMemory::entries_brought() const {
  std::int64_t brought = 0;
  for (const HeadTraffic& traffic : traffic_) {
    brought += traffic.demanded_entries - traffic.hit_entries - traffic.in_place_entries;
    brought += traffic.guessed_entries - traffic.rightly_guessed_entries;
    brought += traffic.reference_entries;
  }
  return brought;
}

std::int64_t LayerMemory::waiting_entries() const {
  std::int64_t waiting = 0;
  for (std::size_t head = 0; has_lower_tier() && head < heads_.size(); ++head) {
    waiting += residencies_[head].only_unwritten() + records_[head].waiting();
  }
  return waiting;
}

}  // namespace kvr

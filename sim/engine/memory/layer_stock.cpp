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

std::int64_t LayerMemory::cached_bytes() const {
  RecordSum cached;
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    const HeadPolicies& policies = heads_[head];
    if (!has_lower_tier()) {
      cached += policies.codec().sizes().sum(policies.live()) - policies.always_visible();
      cached += records_[head].held();
      continue;
    }
    for (UnitId unit = 0; unit < policies.clustering().unit_count(); ++unit) {
      cached.bytes += residencies_[head].bytes(unit);
    }
  }
  return cached.bytes;
}

std::int64_t LayerMemory::unwritten_cached_bytes() const {
  std::int64_t bytes = 0;
  for (std::size_t head = 0; on_flash() && head < heads_.size(); ++head) {
    for (const EntryIndex entry : residencies_[head].unwritten()) {
      const bool cached = residencies_[head].entry_resident(entry);
      bytes += cached ? residencies_[head].sizes().of(entry) : 0;
    }
  }
  return bytes;
}

std::int64_t LayerMemory::space_bytes() const {
  return layout_.space_bytes() + total_bytes(extents(Use::representatives)) +
         (swap_area_ ? swap_area_->space_bytes() : 0);
}

std::int64_t LayerMemory::bytes_brought() const {
  RecordSum brought;
  for (const HeadTraffic& traffic : traffic_) {
    brought += traffic.demanded - traffic.hit - traffic.in_place;
    brought += traffic.guessed - traffic.rightly_guessed;
    brought += traffic.referred;
  }
  return brought.bytes;
}

std::int64_t LayerMemory::waiting_bytes() const {
  RecordSum waiting;
  for (std::size_t head = 0; has_lower_tier() && head < heads_.size(); ++head) {
    waiting += residencies_[head].only_unwritten() + records_[head].waiting();
  }
  return waiting.bytes;
}

}  // namespace kvr

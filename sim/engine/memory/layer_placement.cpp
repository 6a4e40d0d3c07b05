// What stages place comes to the first tier; what else is cached there leaves it.
#include <algorithm>
#include <iterator>

#include "sim/engine/memory/layer_memory.hpp"

namespace kvr {

void LayerMemory::move_placed(std::span<HeadResidency* const> all) {
  tiers_->resume(layer_);
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    if (heads_[head].placed() != nullptr) {
      place_head(static_cast<std::int64_t>(head));
    }
  }
  evict_caches(all);
  align_and_merge(moved(Use::placement), block_bytes_);
}

/// What was in the first tier on other grounds than the cache's stays there, and moves nothing; so does, when
/// the prompt has been read, everything.
void LayerMemory::place_head(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  HeadResidency& residency = residencies_[h];
  const Selection& placed = *heads_[h].placed();
  displace(head, placed);
  std::vector<EntryIndex> here;
  std::ranges::copy_if(placed.entries, std::back_inserter(here),
                       [&](EntryIndex entry) { return residency.in_dram(entry); });
  std::ranges::sort(here);
  residency.set_candidates(heads_[h].range_of_all());
  std::vector<bool> hits;
  for (const UnitChoice& choice : placed.units) {
    missing_.clear();
    std::ranges::copy_if(entries_of(placed, choice), std::back_inserter(missing_),
                         [&](EntryIndex entry) { return !residency.in_dram(entry); });
    hits.push_back(missing_.empty());
    admit(head, choice.unit, missing_);
    std::erase_if(missing_, [&](EntryIndex entry) { return std::ranges::binary_search(here, entry); });
    bring_up(head, choice.unit, TierUse::placed, moved(Use::placement));
  }
  for (std::size_t i = placed.units.size(); i-- > 0;) {
    const UnitId unit = placed.units[i].unit;
    if (residency.partly_resident(unit)) {
      caches_[h]->touched(object(head, unit), residency.bytes(unit), hits[i]);
    }
  }
  tiers_->touch(id(head));
}

void LayerMemory::displace(std::int64_t head, const Selection& placed) {
  const auto h = static_cast<std::size_t>(head);
  std::vector<EntryIndex> stay = placed.entries;
  std::ranges::sort(stay);
  for (UnitId unit = 0; unit < heads_[h].clustering().unit_count(); ++unit) {
    if (!residencies_[h].partly_resident(unit)) {
      continue;
    }
    std::vector<EntryIndex> leaving;
    std::ranges::copy_if(
        heads_[h].clustering().members(unit), std::back_inserter(leaving), [&](EntryIndex entry) {
          return residencies_[h].entry_resident(entry) && !std::ranges::binary_search(stay, entry);
        });
    for (const EntryIndex entry : leaving) {
      cache_of(head).remove(unit, entry);
    }
    tiers_->displace(id(head), unit, leaving);
  }
}

}  // namespace kvr

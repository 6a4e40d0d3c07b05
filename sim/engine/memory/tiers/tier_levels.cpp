#include "sim/engine/memory/tiers/tier_levels.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>

#include "sim/base/error.hpp"
#include "sim/engine/memory/tiers/tier_refusals.hpp"

namespace kvr {
TierLevels::TierLevels(const RunConfig& config, const MemoryGeometry& geometry, std::int64_t layers,
                       std::int64_t kv_heads)
    : kv_heads_(kv_heads),
      links_(config.system.tiers.size()),
      last_is_memory_(!config.system.on_flash && links_ > 0),
      traffic_(links_ * static_cast<std::size_t>(layers)),
      written_(static_cast<std::size_t>(layers * kv_heads)) {
  refuse_tiers(config);
  for (const TierConfig& tier : config.system.tiers) {
    in_place_.push_back(tier.in_place);
    if (tier.capacity_bytes > 0) {
      levels_.emplace_back(config, tier, geometry, layers, kv_heads);
    }
  }
}

void TierLevels::put_under(CacheSet& caches, std::span<HeadResidency* const> first,
                           std::span<const Clustering* const> clusterings, std::int64_t capacity_entries) {
  first_ = first;
  clusterings_ = clusterings;
  lookups_.resize(levels_.size() * first.size());
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    for (std::size_t head = 0; head < clusterings.size(); ++head) {
      levels_[level].add_head(*clusterings[head], first[head]->sizes(), capacity_entries);
    }
    CacheSet& above = level == 0 ? caches : levels_[level - 1].caches();
    if (levels_[level].exclusive()) {
      above.on_evict([this, level](CacheObject object, std::span<const EntryIndex> entries) {
        traffic(layer_, level).demoted += take_over(level, object, entries);
      });
    }
  }
}

bool TierLevels::has(HeadId head, EntryIndex entry) const {
  return std::ranges::any_of(levels_, [&](const TierLevel& level) { return level.has(head, entry); });
}

std::vector<std::int64_t> TierLevels::held_bytes() const {
  std::vector<std::int64_t> held(links_, 0);
  std::ranges::transform(levels_, held.begin(), &TierLevel::bytes);
  return held;
}

void TierLevels::begin_step(std::int64_t layer) {
  layer_ = layer;
  for (std::size_t link = 0; link < links_; ++link) {
    traffic(layer, link) = {};
  }
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    for (std::int64_t head = 0; head < kv_heads_; ++head) {
      lookups(level, {layer, head}).clear();
    }
  }
}

std::vector<EntryIndex> TierLevels::found_in(const TierLevel& level, HeadId head,
                                             std::vector<EntryIndex>& missing) const {
  const auto lacks = [&](EntryIndex entry) { return !level.has(head, entry); };
  const auto found = std::ranges::stable_partition(missing, lacks);
  std::vector<EntryIndex> entries(found.begin(), found.end());
  missing.erase(found.begin(), found.end());
  return entries;
}

void TierLevels::come_ahead(HeadId head, std::vector<EntryIndex>& missing) {
  for (std::size_t i = 0; i < levels_.size() && !missing.empty(); ++i) {
    traffic(head.layer, i).ahead += sum(head, found_in(levels_[i], head, missing));
  }
  if (last_is_memory_) {
    traffic(head.layer, links_ - 1).ahead += sum(head, missing);
    missing.clear();
  }
  for (std::size_t link = 0; link < links_; ++link) {
    traffic(head.layer, link).forwarded_ahead += sum(head, missing);
  }
}

std::size_t TierLevels::holder_of(HeadId head, EntryIndex entry) const {
  const auto found =
      std::ranges::find_if(levels_, [&](const TierLevel& level) { return level.has(head, entry); });
  return static_cast<std::size_t>(found - levels_.begin());
}

bool TierLevels::stays(HeadId head, EntryIndex entry) const {
  if (std::ranges::find(in_place_, true) == in_place_.end()) {
    return false;
  }
  const std::size_t holder = holder_of(head, entry);
  return holder < in_place_.size() && in_place_[holder];  // else it is on flash
}

std::vector<EntryIndex> TierLevels::take_staying(HeadId head, std::vector<EntryIndex>& missing) const {
  const auto comes = [&](EntryIndex entry) { return !stays(head, entry); };
  const auto staying = std::ranges::stable_partition(missing, comes);
  std::vector<EntryIndex> entries(staying.begin(), staying.end());
  missing.erase(staying.begin(), staying.end());
  return entries;
}

RecordSum TierLevels::read_in_place(HeadId head, UnitId unit, std::vector<EntryIndex>& missing) {
  std::vector<EntryIndex> staying = take_staying(head, missing);
  const RecordSum all = sum(head, staying);
  for (std::size_t link = 0; link < links_ && !staying.empty(); ++link) {
    TierTraffic& moved = traffic(head.layer, link);
    moved.asked += sum(head, staying);
    if (link == levels_.size()) {
      moved.in_place += sum(head, staying);
      break;
    }
    moved.in_place += sum(head, found_in(levels_[link], head, staying));
    look_up(link, head, unit, staying.empty());
  }
  return all;
}

void TierLevels::update_in_place(HeadId head, std::vector<EntryIndex>& missing) {
  for (const EntryIndex entry : take_staying(head, missing)) {
    traffic(head.layer, holder_of(head, entry)).updated += sum(head, {&entry, 1});
  }
}

void TierLevels::displace(HeadId head, UnitId unit, std::span<const EntryIndex> entries) {
  if (!levels_.empty() && levels_.front().exclusive()) {
    const CacheObject object{static_cast<std::int32_t>(head.layer), static_cast<std::int32_t>(head.head),
                             unit};
    traffic(head.layer, 0).displaced += take_over(0, object, entries);
  }
}

void TierLevels::bring_up(HeadId head, UnitId unit, TierUse use, std::vector<EntryIndex>& missing) {
  for (std::size_t i = 0; i < levels_.size() && !missing.empty(); ++i) {
    TierLevel& level = levels_[i];
    const RecordSum asked = sum(head, missing);
    const std::vector<EntryIndex> found = found_in(level, head, missing);
    count(use, asked, sum(head, found), traffic(head.layer, i));
    look_up(i, head, unit, missing.empty());
    if (level.exclusive()) {
      level.give_up(head, unit, found);
    } else {
      level.admit(head, unit, missing);
    }
  }
  come_from_last(head.layer, use, sum(head, missing));
  if (last_is_memory_) {
    missing.clear();
  }
}

void TierLevels::bring_along(HeadId head, TierUse use, std::vector<EntryIndex>& missing) {
  if (use == TierUse::ahead) {
    come_ahead(head, missing);
    return;
  }
  for (std::size_t i = 0; i < levels_.size() && !missing.empty(); ++i) {
    const RecordSum asked = sum(head, missing);
    count(use, asked, sum(head, found_in(levels_[i], head, missing)), traffic(head.layer, i));
  }
  come_from_last(head.layer, use, sum(head, missing));
  if (last_is_memory_) {
    missing.clear();
  }
}

void TierLevels::count(TierUse use, const RecordSum& asked, const RecordSum& found,
                       TierTraffic& moved) const {
  moved.asked += use == TierUse::attention || use == TierUse::arrived ? asked : RecordSum{};
  switch (use) {
    case TierUse::attention:
      moved.read += found;
      break;
    case TierUse::ahead:
      moved.ahead += found;
      break;
    case TierUse::arrived:
      moved.arrived += found;
      break;
    case TierUse::update:
      moved.updated += found;
      break;
    case TierUse::placed:
      moved.placed += found;
      break;
  }
}

/// What came ahead of a unit and what did not are one lookup.
void TierLevels::look_up(std::size_t level, HeadId head, UnitId unit, bool hit) {
  std::vector<Lookup>& before = lookups(level, head);
  if (!before.empty() && before.back().unit == unit) {
    before.back().hit &= hit;
  } else {
    before.push_back({unit, hit});
  }
}

void TierLevels::come_from_last(std::int64_t layer, TierUse use, const RecordSum& entries) {
  if (last_is_memory_) {
    count(use, entries, entries, traffic(layer, links_ - 1));
    return;
  }
  for (std::size_t link = 0; link < links_; ++link) {
    TierTraffic& moved = traffic(layer, link);
    moved.forwarded += use == TierUse::attention ? entries : RecordSum{};
    moved.updated += use == TierUse::update ? entries : RecordSum{};
    moved.forwarded_placed += use == TierUse::placed ? entries : RecordSum{};
  }
}

void TierLevels::touch(HeadId head) {
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    for (const Lookup& lookup : std::views::reverse(lookups(level, head))) {
      levels_[level].touch(head, lookup.unit, lookup.hit);
    }
    lookups(level, head).clear();
  }
}

void TierLevels::restructure(HeadId head, const Change& change) {
  for (TierLevel& level : levels_) {
    level.restructure(head, change);
  }
}

void TierLevels::remove(HeadId head, const Change& change) {
  for (TierLevel& level : levels_) {
    level.remove(head, change);
  }
}

RecordSum TierLevels::members(HeadId head) const {
  const Clustering& clustering = *clusterings_[index(head)];
  RecordSum members;
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    members += sum(head, clustering.members(unit));
  }
  return members;
}

void TierLevels::count_written(HeadId head) {
  if (last_is_memory_) {
    written_[index(head)] = members(head);
  }
}

void TierLevels::write_new(HeadId head) {
  if (last_is_memory_) {
    const RecordSum before = written_[index(head)];
    count_written(head);
    traffic(head.layer, links_ - 1).written += written_[index(head)] - before;
  }
}

bool TierLevels::held_above(std::size_t level, HeadId head, EntryIndex entry) const {
  return std::any_of(levels_.begin(), levels_.begin() + static_cast<std::ptrdiff_t>(level),
                     [&](const TierLevel& one) { return one.has(head, entry); });
}

RecordSum TierLevels::take_over(std::size_t to, CacheObject object, std::span<const EntryIndex> entries) {
  const HeadId head{object.layer, object.head};
  TierLevel& level = levels_[to];
  if (!level.caches().of(head.layer, head.head).enabled()) {
    return {};
  }
  std::vector<EntryIndex> demoted;
  std::ranges::copy_if(entries, std::back_inserter(demoted), [&](EntryIndex entry) {
    return !level.has(head, entry) && !first_[index(head)]->in_dram(entry) && !held_above(to, head, entry);
  });
  if (!demoted.empty()) {
    level.admit(head, object.unit, demoted);
    level.touch(head, object.unit, false);
  }
  return sum(head, demoted);
}

void TierLevels::evict() {
  for (TierLevel& level : levels_) {
    for (std::size_t head = 0; head < first_.size(); ++head) {
      const auto h = static_cast<std::int64_t>(head);
      level.evict({h / kv_heads_, h % kv_heads_});
    }
  }
}

void TierLevels::check() const {
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    levels_[level].check();
    if (levels_[level].exclusive()) {
      check_exclusive(level);
    }
  }
}

void TierLevels::check_exclusive(std::size_t level) const {
  for (std::size_t i = 0; i < first_.size(); ++i) {
    const HeadId head{static_cast<std::int64_t>(i) / kv_heads_, static_cast<std::int64_t>(i) % kv_heads_};
    for (UnitId unit = 0; unit < clusterings_[i]->unit_count(); ++unit) {
      for (const EntryIndex entry : clusterings_[i]->members(unit)) {
        const bool above = first_[i]->entry_resident(entry) || held_above(level, head, entry);
        KVR_CHECK(!above || !levels_[level].has(head, entry),
                  "layer {}, head {}, unit {}: entry {} is in exclusive tier {} and in one above it",
                  head.layer, head.head, unit, entry, level + 1);
      }
    }
  }
}

}  // namespace kvr

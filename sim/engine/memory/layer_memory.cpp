#include "sim/engine/memory/layer_memory.hpp"

#include <algorithm>
#include <iterator>

#include "sim/base/error.hpp"
#include "sim/engine/memory/address_regions.hpp"
#include "sim/engine/memory/places/placement_check.hpp"
#include "sim/engine/memory/representatives.hpp"

namespace kvr {

LayerMemory::LayerMemory(std::int64_t layer, std::span<HeadPolicies> heads, BatchLayout layout,
                         std::string layout_name, std::int64_t capacity_entries, std::int64_t entry_bytes,
                         std::int64_t block_bytes, std::vector<Cache*> caches, TierLevels& tiers)
    : layer_(layer),
      heads_(heads),
      layout_(std::move(layout)),
      layout_name_(std::move(layout_name)),
      entry_bytes_(entry_bytes),
      block_bytes_(block_bytes),
      caches_(std::move(caches)),
      tiers_(&tiers),
      traffic_(heads.size()),
      unit_hit_(heads.size()),
      guessed_(heads.size()),
      referred_(heads.size()) {
  for (const HeadPolicies& head : heads_) {
    residencies_.emplace_back(capacity_entries, head.clustering(), head.codec().sizes(), has_lower_tier());
  }
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    records_.emplace_back(heads_[head], residencies_[head]);
  }
}

std::vector<Extent>& LayerMemory::moved(Use use, IoKind kind) {
  const auto found = std::ranges::find_if(
      flash_transfers_, [&](const FlashTransfer& one) { return one.use == use && one.kind == kind; });
  KVR_CHECK(found != flash_transfers_.end(), "the flash has no such use");
  return found->extents;
}

std::span<const Extent> LayerMemory::extents(Use use, IoKind kind) const {
  const auto found = std::ranges::find_if(
      flash_transfers_, [&](const FlashTransfer& one) { return one.use == use && one.kind == kind; });
  return found == flash_transfers_.end() ? std::span<const Extent>() : std::span(found->extents);
}

CacheObject LayerMemory::object(std::int64_t head, UnitId unit) const {
  return {static_cast<std::int32_t>(layer_), static_cast<std::int32_t>(head), unit};
}

HeadCache LayerMemory::cache_of(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  return {id(head), heads_[h].clustering(), residencies_[h], *caches_[h]};
}

void LayerMemory::place(std::span<const std::vector<CoRetrieval>> co_retrieval) {
  const auto begins = [this](std::int64_t head) { return !heads_[static_cast<std::size_t>(head)].resting(); };
  for (std::int64_t head = 0; head < std::ssize(heads_); ++head) {
    if (begins(head)) {
      tiers_->count_written(id(head));
      records_[static_cast<std::size_t>(head)].begin();
    }
  }
  if (on_flash()) {
    place_on_flash(co_retrieval);
  }
  for (std::int64_t head = 0; head < std::ssize(heads_); ++head) {
    if (begins(head)) {
      list_unwritten(head);
    }
  }
  check_placement();
}

void LayerMemory::place_on_flash(std::span<const std::vector<CoRetrieval>> co_retrieval) {
  std::vector<const Clustering*> clusterings;
  for (const HeadRecords& records : records_) {
    clusterings.push_back(&records.units());
  }
  LayoutTraffic prefill;
  std::vector<std::uint8_t> begins;
  for (std::size_t first = 0; first < heads_.size(); first += heads_.size() / layout_.layouts().size()) {
    begins.push_back(heads_[first].resting() ? 0 : 1);
  }
  blame_layout([&] { layout_.place(begins, {clusterings, co_retrieval}, prefill); });
  written_bytes_ += total_bytes(prefill.writes);
  std::vector<Extent>& writes = moved(Use::update, IoKind::write);
  writes = std::move(prefill.writes);
  align_and_merge(writes, block_bytes_);
}

void LayerMemory::swap_in(const VirtualMemory& memory, double dim_ratio) {
  std::vector<Extent>& representatives = moved(Use::representatives);
  std::vector<Extent>& cached = moved(Use::swap);
  representatives.clear();
  cached.clear();
  if (!on_flash()) {
    return;
  }
  if (memory.representatives) {
    read_all_representatives(heads_, dim_ratio, representatives);
    align_and_merge(representatives, block_bytes_);
  }
  if (memory.cache != CacheSwap::none) {
    swap_cache_in(memory.cache);
    align_and_merge(cached, block_bytes_);
  }
  if (memory.representatives || swap_area_) {
    check_regions();
  }
}

void LayerMemory::swap_cache_in(CacheSwap swap) {
  if (swap == CacheSwap::in_place) {
    for (std::size_t head = 0; head < heads_.size(); ++head) {
      locate_cached(static_cast<std::int64_t>(head));
    }
    return;
  }
  if (!swap_area_) {
    swap_area_.emplace(kFirstSwapped, entry_bytes_, block_bytes_);
  }
  swap_area_->read_back(cached_of(heads_, residencies_), moved(Use::swap));
}

void LayerMemory::check_regions() const {
  const std::int64_t places_end = places_end_bytes();
  const std::span<const Extent> representatives = extents(Use::representatives);
  const std::int64_t representatives_end =
      representatives.empty() ? kFirstRepresentative : representatives.back().end_bytes();
  KVR_CHECK(places_end <= kFirstRepresentative && representatives_end <= kFirstSwapped,
            "layer {}: entries end at {}, representatives at {}; they reach what lies above", layer_,
            places_end, representatives_end);
}

void LayerMemory::locate_cached(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  const HeadResidency& residency = residencies_[h];
  const Clustering& clustering = heads_[h].clustering();
  for (UnitId unit = 0; unit < clustering.unit_count(); ++unit) {
    if (residency.partly_resident(unit)) {
      missing_.clear();
      for (const EntryIndex entry : clustering.members(unit)) {
        if (residency.entry_resident(entry) && !residency.entry_unwritten(entry)) {
          missing_.push_back(entry);
        }
      }
      locate(head, unit, missing_, moved(Use::swap));
    }
  }
}

void LayerMemory::prefetch() {
  std::vector<Extent>& reads = moved(Use::prefetch);
  reads.clear();
  moved(Use::placement).clear();
  tiers_->begin_step(layer_);
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    prefetch_head(static_cast<std::int64_t>(head));
  }
  runs_.clear();
  run_entries_.clear();
  add_runs(reads);
  align_and_merge(reads, block_bytes_);
}

void LayerMemory::add_runs(std::vector<Extent>& reads) {
  merge_extents(reads, run_entries_);
  runs_.insert(runs_.end(), reads.begin(), reads.end());
}

void LayerMemory::prefetch_head(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  const Selection& guessed = heads_[h].guessed();
  residencies_[h].set_candidates(heads_[h].range());
  guessed_[h].clear();
  referred_[h].clear();
  traffic_[h] = {};
  for (const UnitChoice& choice : guessed.units) {
    missing_.clear();
    std::ranges::copy_if(entries_of(guessed, choice), std::back_inserter(missing_), [&](EntryIndex entry) {
      return !residencies_[h].in_dram(entry) && !tiers_->stays(id(head), entry);
    });
    guessed_[h].insert(guessed_[h].end(), missing_.begin(), missing_.end());
    tiers_->come_ahead(id(head), missing_);
    if (!missing_.empty()) {
      locate(head, choice.unit, missing_, moved(Use::prefetch));
    }
  }
  std::ranges::sort(guessed_[h]);
  traffic_[h].guessed = sizes(head).sum(guessed_[h]);
  traffic_[h].decoded_entries = traffic_[h].guessed.entries;
  bring_along(head, guessed_[h], TierUse::ahead, moved(Use::prefetch));
}

void LayerMemory::read() {
  std::vector<Extent>& reads = moved(Use::demand);
  reads.clear();
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    read_head(static_cast<std::int64_t>(head));
  }
  add_runs(reads);
  contiguity_ = sizes(0).vary() ? contiguity_of(run_entries_) : contiguity_of(runs_, entry_bytes_);
  align_and_merge(reads, block_bytes_);
}

void LayerMemory::read_head(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  const Selection& demanded = heads_[h].demanded();
  HeadResidency& residency = residencies_[h];
  HeadTraffic& traffic = traffic_[h];
  unit_hit_[h].clear();
  brought_.clear();
  for (const UnitChoice& choice : demanded.units) {
    missing_.clear();
    arrived_.clear();
    for (const EntryIndex entry : entries_of(demanded, choice)) {
      if (!residency.in_dram(entry)) {
        (came_ahead(head, entry) ? arrived_ : missing_).push_back(entry);
      }
    }
    const RecordSum missed = sizes(head).sum(missing_) + sizes(head).sum(arrived_);
    traffic.in_place += tiers_->read_in_place(id(head), choice.unit, missing_);
    admit(head, choice.unit, arrived_);
    admit(head, choice.unit, missing_);
    count_arrived(head);
    tiers_->bring_up(id(head), choice.unit, TierUse::arrived, arrived_);
    brought_.insert(brought_.end(), missing_.begin(), missing_.end());
    bring_up(head, choice.unit, TierUse::attention, moved(Use::demand));
    const bool hit = missed.entries == 0;
    const RecordSum asked = sizes(head).sum(entries_of(demanded, choice));
    unit_hit_[h].push_back(hit ? 1 : 0);
    ++traffic.demanded_units;
    traffic.hit_units += hit ? 1 : 0;
    traffic.demanded += asked;
    traffic.hit += asked - missed;
    traffic.read += sizes(head).sum(arrived_) + sizes(head).sum(missing_);
  }
  traffic.decoded_entries += std::ssize(brought_);
  bring_along(head, brought_, TierUse::attention, moved(Use::demand));
}

/// What is on its way to the first tier is there from here on.
void LayerMemory::admit(std::int64_t head, UnitId unit, std::span<const EntryIndex> entries) {
  const auto h = static_cast<std::size_t>(head);
  for (const EntryIndex entry : entries) {
    residencies_[h].add(unit, entry);
  }
  caches_[h]->loaded(sizes(head).sum(entries).bytes);
}

void LayerMemory::bring_up(std::int64_t head, UnitId unit, TierUse use, std::vector<Extent>& records) {
  tiers_->bring_up(id(head), unit, use, missing_);
  if (!missing_.empty()) {
    locate(head, unit, missing_, records);
  }
}

void LayerMemory::settle(std::span<HeadResidency* const> all) {
  flash_.clear();
  std::vector<Extent>& reads = moved(Use::update);
  std::vector<Extent>& writes = moved(Use::update, IoKind::write);
  reads.clear();
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    settle_head(static_cast<std::int64_t>(head));
  }
  for (std::size_t head = 0; head < heads_.size(); ++head) {  // last: a layout may move entries of any head
    drop_uncached(static_cast<std::int64_t>(head));
  }
  evict_caches(all);
  align_and_merge(reads, block_bytes_);
  written_bytes_ += total_bytes(flash_.writes) - flash_.moved_bytes();
  writes = flash_.writes;
  if (swap_area_) {
    swap_area_->write_back(cached_of(heads_, residencies_), writes);
  }
  align_and_merge(writes, block_bytes_);
}

void LayerMemory::evict_caches(std::span<HeadResidency* const> all) {
  for (Cache* const cache : caches_) {
    if (cache->enabled()) {
      cache->evict(all, static_cast<std::int64_t>(heads_.size()));
    }
  }
  tiers_->evict();
}

void LayerMemory::forget() {
  const std::size_t before = flash_.writes.size();
  for (std::size_t head = 0; head < heads_.size(); ++head) {
    const ChangeList& removals = heads_[head].removals();
    const std::span<const Change> gone = records_[head].remove(removals);
    for (const Change& change : removals) {
      cache_of(static_cast<std::int64_t>(head)).remove(change.unit, change.entry);
      tiers_->remove(id(static_cast<std::int64_t>(head)), change);
    }
    records_[head].keep_pending();
    tiers_->count_written(id(static_cast<std::int64_t>(head)));
    if (on_flash() && !gone.empty()) {
      blame_layout(
          [&] { layout_.update(static_cast<std::int64_t>(head), gone, records_[head].units(), flash_); });
    }
    if (!removals.empty()) {
      list_unwritten(static_cast<std::int64_t>(head));
    }
  }
  blame_layout([&] {
    KVR_CHECK(flash_.writes.size() == before, "{} ranges are written where entries were only removed",
              flash_.writes.size() - before);
  });
}

void LayerMemory::write_representatives(double dim_ratio) {
  std::vector<Extent>& writes = moved(Use::update, IoKind::write);
  locate_changed_representatives(heads_, dim_ratio, writes);
  align_and_merge(writes, block_bytes_);
}

void LayerMemory::settle_head(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  HeadPolicies& policies = heads_[h];
  HeadResidency& residency = residencies_[h];
  const Selection& demanded = policies.demanded();
  if (caches_[h]->enabled()) {
    for (std::size_t i = demanded.units.size(); i-- > 0;) {
      const UnitId unit = demanded.units[i].unit;
      if (residency.partly_resident(unit)) {  // else all that was needed of it waits to be written
        caches_[h]->touched(object(head, unit), residency.bytes(unit), unit_hit_[h][i] != 0);
      }
    }
  }
  tiers_->touch(id(head));
  load_wanted(head);
  tiers_->touch(id(head));
  for (const Change& change : policies.changes()) {
    apply_to_cache(head, change);
    tiers_->restructure(id(head), change);
  }
  tiers_->write_new(id(head));
  update_layout(head);
}

void LayerMemory::drop_uncached(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  if (caches_[h]->enabled()) {
    return;
  }
  for (UnitId unit = 0; unit < heads_[h].clustering().unit_count(); ++unit) {
    if (residencies_[h].partly_resident(unit)) {
      caches_[h]->give_up(object(head, unit), residencies_[h]);
    }
  }
}

void LayerMemory::update_layout(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  if (heads_[h].resting()) {
    return;
  }
  const std::span<const Change> changes = records_[h].follow(heads_[h].changes());
  if (!on_flash()) {
    list_unwritten(head);
    return;
  }
  const std::size_t before = flash_.moved.size();
  blame_layout([&] { layout_.update(head, changes, records_[h].units(), flash_); });
  for (const MovedRecord& record : std::span(flash_.moved).subspan(before)) {
    const auto owner = record.head < 0 ? h : static_cast<std::size_t>(record.head);
    const bool in_memory = records_[owner].in_dram(record.entry) ||
                           tiers_->has(id(static_cast<std::int64_t>(owner)), record.entry);
    if (!in_memory) {
      moved(Use::update).push_back(record.from);
    }
  }
  list_unwritten(head);
}

void LayerMemory::list_unwritten(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  blame_layout([&] {
    const std::int64_t entries = heads_[h].members().front().store().entries();
    for (const EntryIndex entry : on_flash() ? layout_.unwritten(head) : std::span<const EntryIndex>()) {
      KVR_CHECK(0 <= entry && entry < entries, "head {}: entry {} of {} is said to wait to be written", head,
                entry, entries);
    }
  });
  residencies_[h].set_unwritten(
      records_[h].unwritten(on_flash() ? layout_.unwritten(head) : std::span<const EntryIndex>()));
}

void LayerMemory::apply_to_cache(std::int64_t head, const Change& change) {
  const auto h = static_cast<std::size_t>(head);
  HeadResidency& residency = residencies_[h];
  Cache& cache = *caches_[h];
  if (change.kind == ChangeKind::appended && cache.enabled() && residency.partly_resident(change.unit)) {
    residency.add(change.unit, change.entry);
    cache.loaded(sizes(head).of(change.entry));
    cache.updated(object(head, change.unit), residency.bytes(change.unit));
  } else if (change.kind == ChangeKind::buffered) {
    residency.set_pending(change.entry, true);
  } else {
    cache_of(head).restructure(change);
  }
}

void LayerMemory::load_wanted(std::int64_t head) {
  const auto h = static_cast<std::size_t>(head);
  std::vector<UnitId> wanted;
  for (const Change& change : heads_[h].changes()) {
    if (change.kind == ChangeKind::wants_load) {
      wanted.push_back(change.unit);
    }
  }
  for (const UnitId unit : wanted) {
    missing_.clear();
    std::ranges::copy_if(heads_[h].clustering().members(unit), std::back_inserter(missing_),
                         [&](EntryIndex entry) { return !residencies_[h].in_dram(entry); });
    const bool hit = missing_.empty();
    note_load(head, unit);
    tiers_->update_in_place(id(head), missing_);
    admit(head, unit, missing_);
    std::erase_if(missing_, [&](EntryIndex entry) { return referred_[h].contains(entry); });
    const std::vector<EntryIndex> brought = missing_;
    traffic_[h].update_decoded_entries += std::ssize(brought);
    bring_up(head, unit, TierUse::update, moved(Use::update));
    bring_along(head, brought, TierUse::update, moved(Use::update));
    if (caches_[h]->enabled() && residencies_[h].partly_resident(unit)) {
      caches_[h]->touched(object(head, unit), residencies_[h].bytes(unit), hit);
    }
  }
  if (!wanted.empty()) {
    heads_[h].follow_loads(wanted);
  }
}

void LayerMemory::check_placement() const {
  std::ranges::for_each(records_, &HeadRecords::check);
  if (!on_flash()) {
    return;
  }
  blame_layout([&] { kvr::check_placement({layer_, records_, layout_}, written_bytes_); });
}

}  // namespace kvr

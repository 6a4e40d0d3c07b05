#include "sim/engine/memory/residency.hpp"

#include <algorithm>
#include <numeric>

#include "sim/base/error.hpp"

namespace kvr {

HeadResidency::HeadResidency(std::int64_t capacity_entries, const Clustering& clustering,
                             const RecordSizes& sizes, bool on_flash)
    : clustering_(&clustering),
      sizes_(&sizes),
      on_flash_(on_flash),
      flags_(capacity_entries, 0),
      pending_(capacity_entries, 0),
      unwritten_flags_(capacity_entries, 0) {}

RecordSum HeadResidency::cached(UnitId unit) const {
  return resident_.has(unit) ? resident_[unit] : RecordSum{};
}

RecordSum HeadResidency::cached() const {
  return std::accumulate(resident_.begin(), resident_.end(), RecordSum{});
}

RecordSum HeadResidency::cached_of(std::span<const EntryIndex> members) const {
  RecordSum cached;
  for (const EntryIndex entry : members) {
    if (entry_resident(entry)) {
      cached += sizes_->sum(entry);
    }
  }
  return cached;
}

bool HeadResidency::resident(UnitId unit) const {
  const auto members = clustering_->members(unit);
  return std::all_of(members.begin(), members.end(), [this](EntryIndex entry) { return in_dram(entry); });
}

void HeadResidency::set_unwritten(std::span<const EntryIndex> entries) {
  for (const EntryIndex entry : unwritten_) {
    unwritten_flags_[entry] = 0;
  }
  unwritten_.assign(entries.begin(), entries.end());
  for (const EntryIndex entry : unwritten_) {
    unwritten_flags_[entry] = 1;
  }
}

RecordSum HeadResidency::only_unwritten() const {
  RecordSum waiting;
  for (const EntryIndex entry : unwritten_) {
    if (!entry_resident(entry) && range_.contains(entry)) {
      waiting += sizes_->sum(entry);
    }
  }
  return waiting;
}

void HeadResidency::add(UnitId unit, EntryIndex entry) {
  std::uint8_t& flag = flags_[entry];
  KVR_CHECK(flag == 0, "entry {} of unit {} is resident already", entry, unit);
  flag = 1;
  resident_.reach(unit) += sizes_->sum(entry);
}

RecordSum HeadResidency::drop(UnitId unit, std::vector<EntryIndex>* entries) {
  const RecordSum before = cached(unit);
  const RecordSum dropped = cached_of(clustering_->members(unit));
  for (const EntryIndex entry : clustering_->members(unit)) {
    std::uint8_t& flag = flags_[entry];
    if (flag != 0 && entries != nullptr) {
      entries->push_back(entry);
    }
    flag = 0;
  }
  KVR_CHECK(dropped == before, "unit {} had {} resident entries of {} bytes, {} of {} were counted", unit,
            dropped.entries, dropped.bytes, before.entries, before.bytes);
  resident_.reach(unit) = {};
  return dropped;
}

bool HeadResidency::remove(UnitId unit, EntryIndex entry) {
  std::uint8_t& flag = flags_[entry];
  const bool was_cached = flag != 0;
  flag = 0;
  if (was_cached) {
    resident_.reach(unit) -= sizes_->sum(entry);
  }
  set_pending(entry, false);
  return was_cached;
}

void HeadResidency::recount(UnitId unit) {
  resident_.reach(unit) = cached_of(clustering_->members(unit));
}

void HeadResidency::check_counts() const {
  std::int64_t counted = 0;
  for (UnitId unit = 0; unit < clustering_->unit_count(); ++unit) {
    const RecordSum found = cached_of(clustering_->members(unit));
    KVR_CHECK(found == cached(unit), "unit {} has {} cached entries of {} bytes, {} of {} are counted", unit,
              found.entries, found.bytes, count(unit), bytes(unit));
    counted += found.entries;
  }
  const auto flagged = std::ranges::count(flags_, 1);
  KVR_CHECK(flagged == counted, "{} entries are cached, {} of them in units", flagged, counted);
}

Cache::Cache(std::unique_ptr<Replacement> policy, std::int64_t capacity_bytes, std::string policy_name)
    : policy_(std::move(policy)), policy_name_(std::move(policy_name)), capacity_bytes_(capacity_bytes) {}

void Cache::check_budget() const {
  KVR_CHECK(bytes_ >= 0 && bytes_ <= capacity_bytes_, "{} bytes of a cache of {} are in use", bytes_,
            capacity_bytes_);
}

void Cache::evict(std::span<HeadResidency* const> heads, std::int64_t heads_per_layer) {
  while (bytes_ > capacity_bytes_) {
    gave_up_ = true;
    CacheObject object{};
    blaming(
        Replacement::kKind, policy_name_, [] { return "asked for a victim"; },
        [&] { object = policy_->victim(); });
    const bool exists = object.layer >= 0 && object.head >= 0 && object.head < heads_per_layer &&
                        object.unit >= 0 && object.layer < std::ssize(heads) / heads_per_layer;
    if (!exists) {
      throw PolicyFault(
          fmt::format("replacement '{}': layer {}, head {}, unit {}: is given up and does not exist",
                      policy_name_, object.layer, object.head, object.unit));
    }
    HeadResidency& head = *heads[static_cast<std::size_t>(object.layer * heads_per_layer + object.head)];
    const std::int64_t dropped = give_up(object, head);
    if (dropped == 0 && emptied_.erase(object) == 0) {
      throw PolicyFault(
          fmt::format("replacement '{}': layer {}, head {}, unit {}: is given up and not resident",
                      policy_name_, object.layer, object.head, object.unit));
    }
  }
  policy_->settled();
}

std::int64_t Cache::give_up(CacheObject object, HeadResidency& head) {
  dropped_.clear();
  const RecordSum dropped = head.drop(object.unit, evicted_ ? &dropped_ : nullptr);
  bytes_ -= dropped.bytes;
  if (evicted_ && dropped.entries > 0) {
    evicted_(object, dropped_);
  }
  return dropped.entries;
}

}  // namespace kvr

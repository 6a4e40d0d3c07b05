#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/config/resolve.hpp"
#include "sim/engine/memory/access_record.hpp"
#include "sim/engine/memory/memory_geometry.hpp"
#include "sim/engine/memory/residency.hpp"

namespace kvr {

/// What the caches of a tier are made of, and which keys say so.
struct CacheSetting {
  ComponentChoice replacement;
  std::string replacement_key;
  std::int64_t capacity_bytes;  ///< of the whole model; 0: all that `dram_bytes` leaves
  std::string capacity_key;
  std::int64_t dram_bytes;  ///< that everything in the tier together may take; 0: not limited
};

/// Of the first tier.
CacheSetting caches_of(const RunConfig& config);
CacheSetting caches_of(const TierConfig& tier);

/// Whether the configured replacement policy must be told the accesses to come.
bool needs_future(const RunConfig& config);
/// The same of any tier's.
bool is_oracle(const ComponentChoice& replacement);
/// Whether it keeps anything.
bool keeps_some(const ComponentChoice& replacement);

/// The caches of one tier in a replay: one for the model, or one for each layer or head, with equal shares of
/// the capacity.
class CacheSet {
 public:
  /// `accesses` is null, or outlives this. While it is not complete, the caches keep everything, whatever the
  /// configured policy, and note what they are touched for; once it is, the policy is given the accesses to
  /// come. Throws InputError when a cache could not hold a single entry; `touched` then throws one when the
  /// accesses are not the recorded ones.
  CacheSet(const RunConfig& config, CacheSetting setting, const MemoryGeometry& geometry, std::int64_t layers,
           std::int64_t kv_heads, AccessRecord* accesses);
  CacheSet(const CacheSet&) = delete;
  CacheSet& operator=(const CacheSet&) = delete;

  Cache& of(std::int64_t layer, std::int64_t head);
  std::span<const std::unique_ptr<Cache>> caches() const { return caches_; }
  /// Calls `listener` with all that any cache evicts.
  void on_evict(const Cache::Evicted& listener);
  std::int64_t bytes() const;
  const std::string& replacement() const { return setting_.replacement.type; }
  /// Whether any cache was ever full.
  bool gave_up() const;
  /// DRAM of the whole model for the smallest caches: an entry each, of each layer or head.
  double least_dram_bytes() const;
  /// `room_bytes`: DRAM of the whole model for the caches from now on, at least the smallest ones;
  /// `system.cache.capacity` still limits them. Evicts what does not fit any more. `residencies`
  /// [layer * heads + head]. While accesses are recorded, all is kept.
  void give_room(double room_bytes, std::span<HeadResidency* const> residencies);
  /// Throws InternalError unless every cache keeps to its budget and all of them together hold
  /// `resident_bytes` of entries.
  void check_budget(std::int64_t resident_bytes) const;
  /// At the end of a replay: throws InputError when it touched less than was recorded.
  void check_accesses() const;

 private:
  std::unique_ptr<Cache> make_cache(std::size_t index, std::int64_t capacity_bytes) const;
  bool keeps_all() const { return accesses_ != nullptr && !accesses_->complete(); }
  InputError depends_on_cache() const;

  const RunConfig& config_;
  CacheSetting setting_;
  std::int64_t entry_bytes_;  ///< of the largest
  std::int64_t kv_heads_;
  double dram_per_byte_;         ///< of the whole model, where every cache grows by a byte
  std::int64_t capacity_bytes_;  ///< of each cache, by `system.cache.capacity`
  AccessRecord* accesses_;
  std::vector<std::unique_ptr<Cache>> caches_;
};

}  // namespace kvr

#include "sim/engine/memory/cache_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/engine/memory/memory_use.hpp"

namespace kvr {
namespace {

/// Stands in for the policy while accesses are recorded: with room for everything there is nothing to decide.
class KeepsAll final : public Replacement {
 public:
  void touched(CacheObject, std::int64_t, bool) override {}
  void updated(CacheObject, std::int64_t) override {}
  CacheObject victim() override { throw InternalError("a cache without limits was asked for a victim"); }
};

std::unique_ptr<Replacement> make_policy(const ComponentChoice& choice, const Replacement::Context& context) {
  return Registry<Replacement>::instance().create(choice.type, choice.values, context);
}

}  // namespace

CacheSetting caches_of(const RunConfig& config) {
  const SystemConfig& system = config.system;
  return {system.replacement, "system.replacement", system.cache_capacity_bytes, "system.cache.capacity",
          system.dram_bytes};
}

CacheSetting caches_of(const TierConfig& tier) {
  const std::string key = fmt::format("system.tiers.{}", tier.place);
  return {tier.replacement, key + ".replacement", tier.capacity_bytes, key + ".capacity", 0};
}

bool needs_future(const RunConfig& config) {
  return is_oracle(config.system.replacement);
}

bool is_oracle(const ComponentChoice& replacement) {
  return make_policy(replacement, {.capacity_bytes = 0, .root_seed = 0})->needs_future();
}

bool keeps_some(const ComponentChoice& replacement) {
  return make_policy(replacement, {.capacity_bytes = 0, .root_seed = 0})->caches();
}

CacheSet::CacheSet(const RunConfig& config, CacheSetting setting, const MemoryGeometry& geometry,
                   std::int64_t layers, std::int64_t kv_heads, AccessRecord* accesses)
    : config_(config),
      setting_(std::move(setting)),
      entry_bytes_(geometry.entry_bytes),
      kv_heads_(kv_heads),
      accesses_(accesses) {
  // The capacity is the model's; the captured heads get the share of it that they stand for.
  const Extrapolation& model = geometry.model;
  const auto model_heads = static_cast<double>(model.layers * model.kv_heads);
  const std::string& scope = config.system.cache_scope;
  const std::int64_t heads = layers * kv_heads;
  const std::int64_t caches = scope == "model" ? 1 : scope == "layer" ? layers : heads;
  const double share = static_cast<double>(heads) / model_heads / static_cast<double>(caches);
  dram_per_byte_ = swaps_layers(geometry)  // of two layers, whichever
                       ? 2.0 * model.head_share() * static_cast<double>(scope == "head" ? kv_heads : 1)
                       : 1.0 / share;
  capacity_bytes_ =
      setting_.capacity_bytes > 0
          ? static_cast<std::int64_t>(static_cast<double>(setting_.capacity_bytes) * share)
          : static_cast<std::int64_t>(static_cast<double>(setting_.dram_bytes) / dram_per_byte_);
  for (std::int64_t i = 0; i < caches; ++i) {
    caches_.push_back(make_cache(static_cast<std::size_t>(i), capacity_bytes_));
  }
}

double CacheSet::least_dram_bytes() const {
  const double entries_bytes = dram_per_byte_ * static_cast<double>(entry_bytes_);
  return caches_.front()->enabled() ? std::ceil(entries_bytes) + 1.0 : 0.0;  // which rounding may take
}

void CacheSet::give_room(double room_bytes, std::span<HeadResidency* const> residencies) {
  if (keeps_all()) {
    return;
  }
  const auto fits = static_cast<std::int64_t>(room_bytes / dram_per_byte_);
  for (const auto& cache : caches_) {
    cache->resize(std::min(capacity_bytes_, fits));
    if (cache->enabled()) {
      cache->evict(residencies, kv_heads_);
    }
  }
}

std::unique_ptr<Cache> CacheSet::make_cache(std::size_t index, std::int64_t capacity_bytes) const {
  auto policy = make_policy(setting_.replacement,
                            {capacity_bytes, static_cast<std::uint64_t>(config_.seed),
                             accesses_ == nullptr ? std::span<const CacheObject>() : accesses_->of(index)});
  const bool by_capacity = setting_.dram_bytes == 0 || setting_.capacity_bytes > 0;
  if (policy->caches() && by_capacity && capacity_bytes < entry_bytes_) {
    throw InputError(fmt::format(
        "{}: {} bytes for the whole model leave '{}' {} bytes in a cache, less than one entry of {}; "
        "give more, or replacement none",
        config_.place(setting_.capacity_key), setting_.capacity_bytes, setting_.replacement.type,
        capacity_bytes, entry_bytes_));
  }
  if (accesses_ == nullptr) {
    return std::make_unique<Cache>(std::move(policy), capacity_bytes, setting_.replacement.type);
  }
  auto cache =
      keeps_all()
          ? std::make_unique<Cache>(std::make_unique<KeepsAll>(), std::numeric_limits<std::int64_t>::max())
          : std::make_unique<Cache>(std::move(policy), capacity_bytes, setting_.replacement.type);
  cache->watch([this, index](CacheObject object) {
    if (!accesses_->follow(index, object)) {
      throw depends_on_cache();
    }
  });
  return cache;
}

Cache& CacheSet::of(std::int64_t layer, std::int64_t head) {
  const std::int64_t index = caches_.size() == 1                     ? 0
                             : config_.system.cache_scope == "layer" ? layer
                                                                     : layer * kv_heads_ + head;
  return *caches_[static_cast<std::size_t>(index)];
}

void CacheSet::on_evict(const Cache::Evicted& listener) {
  for (const auto& cache : caches_) {
    cache->on_evict(listener);
  }
}

std::int64_t CacheSet::bytes() const {
  std::int64_t bytes = 0;
  for (const auto& cache : caches_) {
    bytes += cache->bytes();
  }
  return bytes;
}

bool CacheSet::gave_up() const {
  return std::ranges::any_of(caches_, [](const auto& cache) { return cache->gave_up(); });
}

void CacheSet::check_budget(std::int64_t resident_bytes) const {
  for (const auto& cache : caches_) {
    cache->check_budget();
  }
  KVR_CHECK(bytes() == resident_bytes, "caches hold {} bytes, entries of {} are resident", bytes(),
            resident_bytes);
}

void CacheSet::check_accesses() const {
  if (accesses_ != nullptr && accesses_->complete() && !accesses_->followed()) {
    throw depends_on_cache();
  }
}

InputError CacheSet::depends_on_cache() const {
  return InputError(fmt::format(
      "{}: '{}' needs accesses that do not depend on the cache, but clustering '{}' ({}) asks for other "
      "units "
      "when other units are resident; allowed is another replacement, or a clustering that does not look at "
      "residency",
      config_.place("system.replacement"), config_.system.replacement.type, config_.system.clustering.type,
      config_.place("system.clustering")));
}

}  // namespace kvr

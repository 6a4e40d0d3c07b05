#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "sim/interfaces/report.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// One unit of one head, as the cache of a tier knows it.
struct CacheObject {
  std::int32_t layer = 0;
  std::int32_t head = 0;
  UnitId unit = 0;

  friend auto operator<=>(const CacheObject&, const CacheObject&) = default;
};

/// Decides which units stay in a tier when its byte budget is exceeded.
///
/// The engine keeps the books (what is resident, how many bytes) and calls, for each layer of a step after
/// its attention, `touched` for every unit the layer used, least wanted first, so that the best-ranked is the
/// most recent; then asks for `victim`s until the tier fits its budget again. Units in use therefore need no
/// locks. There is one object for each cache that `cache.scope` makes; heads of a layer count through the
/// sequences of a batch. A policy with `caches() == false` keeps nothing at all.
class Replacement {
 public:
  static constexpr std::string_view kKind = "replacement";
  struct Context {
    std::int64_t capacity_bytes;
    std::uint64_t root_seed;
    /// For a policy with `needs_future()`: the object of every `touched` to come, in order; valid as long as
    /// the policy lives. Empty for all others.
    std::span<const CacheObject> future = {};
  };

  virtual ~Replacement() = default;

  virtual bool caches() const { return true; }
  /// An oracle: the engine replays the point twice, first to record its accesses. Results say so.
  virtual bool needs_future() const { return false; }
  /// `object` was used; it is resident now. `hit`: it was before. `bytes`: its size now.
  virtual void touched(CacheObject object, std::int64_t bytes, bool hit) = 0;
  /// `object` was appended to or split while resident; `bytes` is its size now. It may be the new half of a
  /// split, which the policy has not met before. A half that keeps nothing resident is reported with 0 bytes;
  /// to give it up as a victim frees nothing, and the engine asks for another. A new half of which nothing is
  /// resident is not reported. So the sizes told add up to what the tier holds whenever a victim is asked
  /// for.
  virtual void updated(CacheObject object, std::int64_t bytes) = 0;
  /// The tier's byte budget is another from now on; called between steps. Victims are asked for right after
  /// where the tier is above it.
  virtual void resized(std::int64_t /*capacity_bytes*/) {}
  /// The tier fits its budget, no more victims are asked for after the touches so far: those to come are of
  /// another layer or step.
  virtual void settled() {}
  /// The object to drop next; the engine drops it. Called only while at least one object is resident.
  virtual CacheObject victim() = 0;
  /// See Report.
  virtual void report(Report& /*report*/) const {}
};

}  // namespace kvr

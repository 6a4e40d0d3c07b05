#pragma once

#include <cstdint>

namespace kvr {

/// Why entries come up to the first tier.
enum class TierUse {
  attention,
  arrived,  ///< for attention too, but it came ahead
  update,   ///< of units, behind attention
  placed,   ///< there they belong from now on
};

/// What a layer asked of one tier of memory below the first in a step, and what went over its link, in
/// entries.
struct TierTraffic {
  std::int64_t asked = 0;             ///< that attention needs and no tier above has
  std::int64_t read = 0;              ///< of those, what the tier has: up
  std::int64_t arrived = 0;           ///< of those, what the tier has and came ahead
  std::int64_t in_place = 0;          ///< of those, what attention reads where it is
  std::int64_t forwarded = 0;         ///< of those, what flash alone has: up, on its way
  std::int64_t ahead = 0;             ///< that was guessed to be asked for, and the tier has: up
  std::int64_t forwarded_ahead = 0;   ///< likewise, what flash alone has: up, on its way
  std::int64_t updated = 0;           ///< for updates, from here or from flash: up
  std::int64_t placed = 0;            ///< that belongs in the first tier from now on: up
  std::int64_t forwarded_placed = 0;  ///< likewise, what flash alone has: up, on its way
  std::int64_t displaced = 0;         ///< that belongs there no more and is not here yet: down
  std::int64_t demoted = 0;           ///< what the tier above has evicted: down
  std::int64_t written = 0;           ///< what the last tier must have of new entries: down

  std::int64_t hit() const { return read + arrived + in_place; }
  std::int64_t up() const {
    return read + forwarded + ahead + forwarded_ahead + updated + placed + forwarded_placed;
  }
  std::int64_t down() const { return demoted + written + displaced; }
};

}  // namespace kvr

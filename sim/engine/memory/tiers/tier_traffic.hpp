#pragma once

#include "sim/interfaces/record_sizes.hpp"

namespace kvr {

/// Why entries come up to the first tier.
enum class TierUse {
  attention,
  ahead,    ///< because it is guessed that attention will need them
  arrived,  ///< for attention too, but it came ahead
  update,   ///< of units, behind attention
  placed,   ///< there they belong from now on
};

/// What a layer asked of one tier of memory below the first in a step, and what went over its link.
struct TierTraffic {
  RecordSum asked;             ///< that attention needs and no tier above has
  RecordSum read;              ///< of those, what the tier has: up
  RecordSum arrived;           ///< of those, what the tier has and came ahead
  RecordSum in_place;          ///< of those, what attention reads where it is
  RecordSum forwarded;         ///< of those, what flash alone has: up, on its way
  RecordSum ahead;             ///< that was guessed to be asked for, and the tier has: up
  RecordSum forwarded_ahead;   ///< likewise, what flash alone has: up, on its way
  RecordSum updated;           ///< for updates, from here or from flash: up
  RecordSum placed;            ///< that belongs in the first tier from now on: up
  RecordSum forwarded_placed;  ///< likewise, what flash alone has: up, on its way
  RecordSum displaced;         ///< that belongs there no more and is not here yet: down
  RecordSum demoted;           ///< what the tier above has evicted: down
  RecordSum written;           ///< what the last tier must have of new entries: down

  RecordSum hit() const { return read + arrived + in_place; }
  RecordSum up() const {
    return read + forwarded + ahead + forwarded_ahead + updated + placed + forwarded_placed;
  }
  RecordSum down() const { return demoted + written + displaced; }
};

}  // namespace kvr

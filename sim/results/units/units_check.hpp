#pragma once

#include "sim/results/units/recorded_units.hpp"

namespace kvr {

/// Whether who reads rows can rely on them: sizes add up, and what is numbered is there.
bool are_sound(const RecordedUnits& units);
/// Whether stages and tiers can be written, a line each, and read back.
bool are_names(const UnitsOutline& outline);

}  // namespace kvr

#pragma once

#include <cstdint>

#include "sim/results/outline.hpp"

namespace kvr::sweep {

/// Throws InputError where an outline, read from somewhere, is none that a replay gives, and results could
/// not be made of it: numbers that are not ascending, metrics or dimensions that there are not, names twice,
/// more steps than a record may have. Problems name no file.
void check_outline(const PointOutline& outline);

/// How many values a metric or figure of these dimensions has at a point that `check_outline` lets pass; the
/// largest number where they are more than can be counted.
std::uint64_t values_of(const PointOutline& outline, Dims dims);

}  // namespace kvr::sweep

#pragma once

#include <array>
#include <string_view>

#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// What the flash is read for, by Use.
constexpr std::array<std::string_view, kUses> kReadUses = {
    "representatives", "swap", "demand", "prefetch", "update", "demotion", "append", "placement"};

}  // namespace kvr

#pragma once

#include <cstddef>
#include <span>

namespace kvr::fuzz {

/// Inspects a trace in memory and reads the values of the datasets that are sound; nothing stays open.
void look_into(std::span<const std::byte> image);

}  // namespace kvr::fuzz

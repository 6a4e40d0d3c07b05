#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace kvr::config {

/// Where a key stands that is looked for in another place; empty: nowhere.
constexpr std::string_view moved_to(std::string_view key) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kMoved = {{
      {"system.schedule.representatives", "system.representatives, the name of a tier"},
      {"system.schedule.virtual_cache", "system.cache.holds: layer (for true) or all (for false)"},
      {"system.schedule.swap", "system.cache.swap, beside system.cache.holds: layer"},
  }};
  const auto* const found =
      std::ranges::find(kMoved, key, &std::pair<std::string_view, std::string_view>::first);
  return found == kMoved.end() ? std::string_view() : found->second;
}

}  // namespace kvr::config

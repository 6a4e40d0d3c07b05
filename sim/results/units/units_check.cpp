#include "sim/results/units/units_check.hpp"

#include <algorithm>

#include "sim/results/units/read_uses.hpp"

namespace kvr {
namespace {

/// Between `least` and the last of `size`.
bool is_place(std::int32_t value, std::size_t size, std::int32_t least = 0) {
  return value >= least && value < static_cast<std::int64_t>(size);
}

bool is_line(const std::string& text) {
  return !text.empty() && text.find_first_of(std::string_view("\n\0", 2)) == std::string::npos;
}

}  // namespace

bool are_sound(const RecordedUnits& units) {
  std::int64_t entries = 0;
  std::int64_t extents = 0;
  for (const UnitRow& row : units.choices) {
    if (!is_place(row.role, kUnitRoles.size()) || !is_place(row.stage, units.stages.size(), -1) ||
        row.entry_count < 0 || row.extent_count < 0) {
      return false;
    }
    entries += row.entry_count;
    extents += row.extent_count;
  }
  return entries == std::ssize(units.entries) && extents == std::ssize(units.extents) &&
         std::ranges::all_of(
             units.entries,
             [&](const UnitEntry& entry) { return is_place(entry.tier, units.tiers.size(), -1); }) &&
         std::ranges::all_of(units.requests, [](const ReadRequest& request) {
           return is_place(request.use, kReadUses.size());
         });
}

bool are_names(const UnitsOutline& outline) {
  return !outline.tiers.empty() && std::ranges::all_of(outline.stages, is_line) &&
         std::ranges::all_of(outline.tiers, is_line);
}

}  // namespace kvr

#include "sim/results/units/recorded_units.hpp"

#include <algorithm>
#include <bit>

namespace kvr {
namespace {

/// Where there is no value twice, too.
bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

constexpr std::array<UnitColumn<UnitRow>, 15> kChoices = {{
    {"step", "1", "decode step, from the first one replayed", &UnitRow::step},
    {"layer", "1", "layer, as numbered in the model", &UnitRow::layer},
    {"sequence", "1", "sequence, in the order of workload.sequences", &UnitRow::sequence},
    {"kv_head", "1", "KV head, as numbered in the model; -1: all of the layer, which decide as one",
     &UnitRow::kv_head},
    {"query_head", "1", "which of the query heads the row is for, counted in kv_head; -1: for all",
     &UnitRow::query_head},
    {"stage", "1", "which stage of the system; -1: none", &UnitRow::stage},
    {"role", "1", "why it stands here", &UnitRow::role},
    {"unit", "1", "unit of the clustering, or of the stage's own where it ranks entries; -1: of none",
     &UnitRow::unit},
    {"rank", "1", "place among what was chosen, from 1 on; 0: it was not ranked", &UnitRow::rank},
    {"score", "1", "by the stage's scorer, folded over query heads; NaN: it has none", &UnitRow::score},
    {"weight", "1", "true softmax over its entries, mean of the query heads it is for", &UnitRow::weight},
    {"entry_count", "1", "its rows in entries", &UnitRow::entry_count},
    {"in_first_tier", "1", "of its entries, found in the first tier; -1: nothing was asked of the memory",
     &UnitRow::in_first_tier},
    {"came_ahead", "1", "of its entries, read before they were demanded", &UnitRow::came_ahead},
    {"extent_count", "1", "its rows in extents", &UnitRow::extent_count},
}};

constexpr std::array<UnitColumn<UnitEntry>, 3> kEntries = {{
    {"position", "1", "position of its token", &UnitEntry::position},
    {"tier", "1", "tier in which it was found, 0 the first; -1: it was not looked for", &UnitEntry::tier},
    {"weight", "1", "true softmax, mean of the query heads that the choice is for", &UnitEntry::weight},
}};

constexpr std::array<UnitColumn<UnitExtent>, 2> kExtents = {{
    {"offset_bytes", "B", "of records read from flash, in the layer's own region", &UnitExtent::offset_bytes},
    {"length_bytes", "B", "of records that lie side by side, before reads are widened to blocks",
     &UnitExtent::length_bytes},
}};

constexpr std::array<UnitColumn<ReadRequest>, 5> kRequests = {{
    {"step", "1", "decode step, from the first one replayed", &ReadRequest::step},
    {"layer", "1", "layer, as numbered in the model", &ReadRequest::layer},
    {"use", "1", "what it is read for", &ReadRequest::use},
    {"offset_bytes", "B", "in the layer's own region", &ReadRequest::offset_bytes},
    {"length_bytes", "B", "whole blocks, of all heads and sequences that were captured",
     &ReadRequest::length_bytes},
}};

}  // namespace

bool operator==(const UnitRow& a, const UnitRow& b) {
  const auto same = [&](const UnitColumn<UnitRow>& column) {
    const auto* whole = std::get_if<std::int32_t UnitRow::*>(&column.member);
    return whole == nullptr || a.*(*whole) == b.*(*whole);
  };
  return std::ranges::all_of(kChoices, same) && same_bits(a.score, b.score) && same_bits(a.weight, b.weight);
}

bool operator==(const UnitEntry& a, const UnitEntry& b) {
  return a.position == b.position && a.tier == b.tier && same_bits(a.weight, b.weight);
}

std::span<const UnitColumn<UnitRow>> columns_of(const std::vector<UnitRow>&) {
  return kChoices;
}
std::span<const UnitColumn<UnitEntry>> columns_of(const std::vector<UnitEntry>&) {
  return kEntries;
}
std::span<const UnitColumn<UnitExtent>> columns_of(const std::vector<UnitExtent>&) {
  return kExtents;
}
std::span<const UnitColumn<ReadRequest>> columns_of(const std::vector<ReadRequest>&) {
  return kRequests;
}

UnitCounts RecordedUnits::counts() const {
  UnitCounts counts{};
  std::size_t table = 0;
  for_each_table([&](std::string_view, const auto& rows) { counts.at(table++) = std::ssize(rows); });
  return counts;
}

UnitsOutline outline_of(const RecordedUnits& units) {
  return {units.stages, units.tiers, units.counts()};
}

}  // namespace kvr

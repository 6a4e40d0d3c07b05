#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <numeric>
#include <tuple>

#include "sim/cli/inspect/decision.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/cli/table.hpp"
#include "sim/results/units/read_uses.hpp"

namespace kvr::cli {
namespace {

/// Of a list in a cell; JSON has the rest.
constexpr std::size_t kMostInCell = 6;

constexpr std::array<std::string_view, kUnitRoles.size()> kSectionTitles = {
    "chosen",
    "asked of the memory",
    "pinned",
    "pending",
    "guessed, and read ahead",
    "estimated, not read",
    "missed: truly among the best that the budget would have held",
    "kept by the eviction",
    "removed",
    "placed in the first tier",
    "read because others refer to it",
    "read because the clustering changes it"};

std::string shortened(std::vector<std::string> texts) {
  if (texts.size() > kMostInCell) {
    const std::size_t more = texts.size() - kMostInCell;
    texts.resize(kMostInCell);
    texts.push_back(fmt::format("... {} more", more));
  }
  return fmt::format("{}", fmt::join(texts, ", "));
}

/// "592-607, 610"
std::string positions_text(std::span<const UnitEntry> entries) {
  std::vector<std::int32_t> positions;
  std::ranges::transform(entries, std::back_inserter(positions), &UnitEntry::position);
  std::ranges::sort(positions);
  std::vector<std::string> ranges;
  for (std::size_t first = 0; first < positions.size();) {
    std::size_t end = first + 1;
    while (end < positions.size() && positions[end] == positions[end - 1] + 1) {
      ++end;
    }
    ranges.push_back(end == first + 1 ? std::to_string(positions[first])
                                      : fmt::format("{}-{}", positions[first], positions[end - 1]));
    first = end;
  }
  return shortened(std::move(ranges));
}

std::string bytes_text(std::int64_t bytes) {
  return value_text(static_cast<double>(bytes), "B");
}

std::string counted_text(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.2f} %", 100.0 * share);
}

std::string extents_text(std::span<const UnitExtent> extents) {
  std::vector<std::string> texts;
  for (const UnitExtent& extent : extents) {
    texts.push_back(fmt::format("{}+{}", extent.offset_bytes, extent.length_bytes));
  }
  return texts.empty() ? "-" : shortened(std::move(texts));
}

/// "16 dram", "4 dram, 12 flash"
std::string tiers_text(const ShownUnit& unit, const std::vector<std::string>& tiers) {
  std::vector<std::string> texts;
  for (std::size_t tier = 0; tier < tiers.size(); ++tier) {
    const auto found = std::ranges::count(unit.entries, static_cast<std::int32_t>(tier), &UnitEntry::tier);
    if (found > 0) {
      texts.push_back(fmt::format("{} {}", found, printable(tiers[tier])));
    }
  }
  if (unit.row.came_ahead > 0) {
    texts.push_back(fmt::format("{} of them came ahead", unit.row.came_ahead));
  }
  return texts.empty() ? "-" : fmt::format("{}", fmt::join(texts, ", "));
}

std::string unit_text(const UnitRow& row) {
  return row.unit < 0 ? "-" : std::to_string(row.unit);
}

/// Of one role, stage and query head.
using Section = std::span<const ShownUnit>;

auto key_of(const ShownUnit& unit) {
  return std::tuple(unit.row.role, unit.row.stage, unit.row.query_head);
}

std::string title_of(const ShownUnit& unit, const std::vector<std::string>& stages) {
  std::string title(kSectionTitles.at(static_cast<std::size_t>(unit.row.role)));
  if (unit.row.stage >= 0) {
    title = fmt::format("stage {}, {}: {}", unit.row.stage,
                        printable(stages.at(static_cast<std::size_t>(unit.row.stage))), title);
  }
  return unit.row.query_head < 0 ? title : fmt::format("query head {}: {}", unit.row.query_head, title);
}

/// The heaviest first, with what each weighs.
std::string missed_text(const ShownUnit& unit) {
  std::vector<UnitEntry> entries(unit.entries.begin(), unit.entries.end());
  std::ranges::stable_sort(entries, std::greater<>(), &UnitEntry::weight);
  std::vector<std::string> texts;
  for (const UnitEntry& entry : entries) {
    texts.push_back(fmt::format("{} ({})", entry.position, percent(static_cast<double>(entry.weight))));
  }
  return fmt::format("{} entries, {} of its attention: {}\n", entries.size(),
                     percent(static_cast<double>(unit.row.weight)), shortened(std::move(texts)));
}

Table rows_of(Section section, const std::vector<std::string>& tiers) {
  const bool ranked = section.front().row.rank > 0;
  const auto any = [&](auto has) { return std::ranges::any_of(section, has); };
  const bool scored = any([](const ShownUnit& unit) { return !std::isnan(unit.row.score); });
  const bool weighed = any([](const ShownUnit& unit) { return !std::isnan(unit.row.weight); });
  const bool found = any(
      [](const ShownUnit& unit) { return unit.entries.empty() ? false : unit.entries.front().tier >= 0; });
  const bool read = any([](const ShownUnit& unit) { return !unit.extents.empty(); });
  Table table;
  const auto column = [&](bool shown, std::string name, const auto& text_of) {
    if (!shown) {
      return;
    }
    table.heading.push_back(std::move(name));
    table.rows.resize(section.size());
    for (std::size_t i = 0; i < section.size(); ++i) {
      table.rows[i].push_back(text_of(section[i]));
    }
  };
  column(ranked, "rank", [](const ShownUnit& unit) { return std::to_string(unit.row.rank); });
  column(any([](const ShownUnit& unit) { return unit.row.unit >= 0; }), "unit",
         [](const ShownUnit& unit) { return unit_text(unit.row); });
  column(scored, "score", [](const ShownUnit& unit) { return fmt::format("{:.4g}", unit.row.score); });
  column(weighed, "attention",
         [](const ShownUnit& unit) { return percent(static_cast<double>(unit.row.weight)); });
  column(true, "entries", [](const ShownUnit& unit) { return positions_text(unit.entries); });
  column(found, "found in", [&](const ShownUnit& unit) { return tiers_text(unit, tiers); });
  column(read, "read, offset+bytes", [](const ShownUnit& unit) { return extents_text(unit.extents); });
  return table;
}

std::string section_text(Section section, const Decision& decision) {
  const std::string title = title_of(section.front(), decision.record.stages);
  const std::string body = section.front().row.is(UnitRole::missed)
                               ? missed_text(section.front())
                               : plain_table(rows_of(section, decision.record.tiers));
  return fmt::format("\n{}\n{}", title, body);
}

std::string heading(const Decision& decision) {
  std::string text =
      fmt::format("{}: {}, step {}", printable(decision.file), printable(decision.point), decision.step);
  text += decision.position ? fmt::format(" at position {:.0f}", *decision.position) : "";
  text += decision.several_sequences ? fmt::format(", sequence {}", decision.sequence) : "";
  return text + fmt::format(", layer {}, KV head {}\n", decision.layer, decision.head);
}

/// What was asked of the memory, over all units.
std::string demand_text(const Decision& decision) {
  std::int64_t units = 0;
  std::int64_t hits = 0;
  std::int64_t entries = 0;
  std::int64_t in_first = 0;
  std::int64_t ahead = 0;
  std::int64_t bytes = 0;
  std::size_t extents = 0;
  for (const ShownUnit& unit : decision.units) {
    if (unit.row.in_first_tier < 0 || unit.row.is(UnitRole::prefetched)) {
      continue;
    }
    ++units;
    hits += unit.row.in_first_tier == unit.row.entry_count ? 1 : 0;
    entries += unit.row.entry_count;
    in_first += unit.row.in_first_tier;
    ahead += unit.row.came_ahead;
    extents += unit.extents.size();
    for (const UnitExtent& extent : unit.extents) {
      bytes += extent.length_bytes;
    }
  }
  if (units == 0) {
    return "";
  }
  std::string text = fmt::format("{} of {} units hit", hits, units);
  if (in_first < entries) {
    const std::string first = decision.record.tiers.empty() ? "" : printable(decision.record.tiers.front());
    text += fmt::format(": {} of {} entries were in {}", in_first, entries, first);
  }
  text += ahead > 0 ? fmt::format(", {} came ahead", ahead) : "";
  text += bytes > 0 ? fmt::format(", {} of records in {} were read", bytes_text(bytes),
                                  counted_text(extents, "extent"))
                    : "";
  return text + "\n";
}

std::string quality_text(const Decision& decision) {
  std::vector<std::string> parts;
  if (decision.recall) {
    parts.push_back(fmt::format("recall {}", percent(*decision.recall)));
  }
  if (decision.mass) {
    parts.push_back(fmt::format("attention mass {}", percent(*decision.mass)));
  }
  return parts.empty() ? "" : fmt::format("{}\n", fmt::join(parts, ", "));
}

/// Of all heads of the layer: requests span them.
std::string requests_text(const Decision& decision) {
  std::string text;
  for (std::size_t use = 0; use < kReadUses.size(); ++use) {
    std::int64_t bytes = 0;
    std::size_t count = 0;
    for (const ReadRequest& request : decision.requests) {
      if (request.use == static_cast<std::int32_t>(use)) {
        bytes += request.length_bytes;
        ++count;
      }
    }
    text += count > 0 ? fmt::format("the layer, all its heads: {} in {} for {}\n", bytes_text(bytes),
                                    counted_text(count, "request"), kReadUses.at(use))
                      : "";
  }
  return text;
}

}  // namespace

std::string decision_text(const Decision& decision) {
  std::string text =
      heading(decision) + quality_text(decision) + demand_text(decision) + requests_text(decision);
  const Section all = decision.units;
  for (std::size_t first = 0; first < all.size();) {
    std::size_t end = first + 1;
    while (end < all.size() && key_of(all[end]) == key_of(all[first])) {
      ++end;
    }
    text += section_text(all.subspan(first, end - first), decision);
    first = end;
  }
  return text;
}

}  // namespace kvr::cli

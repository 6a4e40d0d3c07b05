#include "sim/cli/notes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>

#include "sim/cli/result/value_text.hpp"

namespace kvr::cli {
namespace {

/// A variant for all its points, where they are `about`; in their order.
std::vector<std::string> names_of(std::span<const NotedPoint* const> about,
                                  const std::map<std::string, std::size_t>& points_of_variant) {
  std::map<std::string, std::size_t> noted;
  for (const NotedPoint* point : about) {
    ++noted[point->variant];
  }
  std::vector<std::string> names;
  for (const NotedPoint* point : about) {
    const bool whole = noted.at(point->variant) == points_of_variant.at(point->variant);
    const std::string& name = whole ? point->variant : point->name;
    if (std::ranges::find(names, name) == names.end()) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

std::string notes_text(std::span<const NotedPoint> points) {
  std::map<std::string, std::vector<const NotedPoint*>> about;
  std::map<std::string, std::size_t> points_of_variant;
  for (const NotedPoint& point : points) {
    ++points_of_variant[point.variant];
    for (const std::string& note : point.notes) {
      about[note].push_back(&point);
    }
  }
  std::string text = about.empty() ? "" : "\nnotes\n";
  for (const auto& [note, of] : about) {
    const std::string names = of.size() == points.size()
                                  ? ""
                                  : fmt::format("{}: ", fmt::join(names_of(of, points_of_variant), "; "));
    text += fmt::format("- {}{}\n", printable(names), printable(note));
  }
  return text;
}

}  // namespace kvr::cli

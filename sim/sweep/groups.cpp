#include "sim/sweep/groups.hpp"

#include <algorithm>

#include "sim/engine/replay.hpp"

namespace kvr::sweep {
namespace {

/// Those at the begin of `places` that can be replayed together.
std::span<const std::size_t> same_walks(std::span<const RunConfig> points,
                                        std::span<const std::size_t> places) {
  const auto other = std::ranges::find_if(
      places, [&](std::size_t place) { return !same_walk(points[places.front()], points[place]); });
  return places.first(static_cast<std::size_t>(other - places.begin()));
}

}  // namespace

std::vector<Group> groups_of(std::span<const RunConfig> points, std::span<const std::size_t> places,
                             std::int64_t most, std::int64_t jobs) {
  const auto largest = static_cast<std::size_t>(most);
  std::vector<Group> groups;
  while (!places.empty()) {
    std::span<const std::size_t> together = same_walks(points, places);
    places = places.subspan(together.size());
    const std::size_t parts = std::max((together.size() + largest - 1) / largest,
                                       std::min(together.size(), static_cast<std::size_t>(jobs)));
    for (std::size_t part = 0; part < parts; ++part) {
      const std::size_t size = together.size() / (parts - part);
      groups.emplace_back(together.begin(), together.begin() + static_cast<std::ptrdiff_t>(size));
      together = together.subspan(size);
    }
  }
  return groups;
}

}  // namespace kvr::sweep

#include "sim/sweep/groups.hpp"

#include <algorithm>
#include <utility>

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

/// Into two, side by side; false where no group has two points.
bool divide_largest(std::vector<Group>& groups) {
  const auto largest = std::ranges::max_element(groups, {}, &Group::size);
  if (largest == groups.end() || largest->size() < 2) {
    return false;
  }
  const auto middle = largest->begin() + static_cast<std::ptrdiff_t>(largest->size() / 2);
  Group second(middle, largest->end());
  largest->erase(middle, largest->end());
  groups.insert(largest + 1, std::move(second));
  return true;
}

}  // namespace

std::vector<Group> groups_of(std::span<const RunConfig> points, std::span<const std::size_t> places,
                             std::int64_t most, std::int64_t jobs) {
  const auto largest = static_cast<std::size_t>(most);
  std::vector<Group> groups;
  while (!places.empty()) {
    std::span<const std::size_t> together = same_walks(points, places);
    places = places.subspan(together.size());
    for (std::size_t parts = (together.size() + largest - 1) / largest; parts > 0; --parts) {
      const std::size_t size = together.size() / parts;
      groups.emplace_back(together.begin(), together.begin() + static_cast<std::ptrdiff_t>(size));
      together = together.subspan(size);
    }
  }
  while (std::ssize(groups) < jobs && divide_largest(groups)) {
  }
  return groups;
}

}  // namespace kvr::sweep

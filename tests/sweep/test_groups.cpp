#include <doctest/doctest.h>

#include <vector>

#include "sim/sweep/groups.hpp"

using namespace kvr;
using sweep::Group;
using sweep::groups_of;

namespace {

/// Points that take so many steps of one trace.
std::vector<RunConfig> points_of(const std::vector<std::int64_t>& steps) {
  std::vector<RunConfig> points(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    points[i].steps = steps[i];
    points[i].sequences = {{}};
  }
  return points;
}

}  // namespace

TEST_CASE("points are replayed together that take the same steps, so many at most, in order") {
  const std::vector<RunConfig> points = points_of({5, 5, 5, 5, 5, 7, 5, 5});
  const std::vector<std::size_t> all{0, 1, 2, 3, 4, 5, 6, 7};
  CHECK(groups_of(points, all, 4, 1) == std::vector<Group>{{0, 1}, {2, 3, 4}, {5}, {6, 7}});
  CHECK(groups_of(points, all, 1, 1).size() == 8);
  const std::vector<std::size_t> some{0, 2, 4, 6, 7};
  CHECK(groups_of(points, some, 8, 1) == std::vector<Group>{{0, 2, 4, 6, 7}});
  CHECK(groups_of(points, {}, 4, 2).empty());
}

TEST_CASE("few points are divided among all jobs") {
  const std::vector<RunConfig> points = points_of({5, 5, 5, 5});
  const std::vector<std::size_t> all{0, 1, 2, 3};
  CHECK(groups_of(points, all, 4, 1) == std::vector<Group>{{0, 1, 2, 3}});
  CHECK(groups_of(points, all, 4, 2) == std::vector<Group>{{0, 1}, {2, 3}});
  CHECK(groups_of(points, all, 4, 3) == std::vector<Group>{{0}, {1}, {2, 3}});
  CHECK(groups_of(points_of({5, 5, 5, 7, 7, 7}), std::vector<std::size_t>{0, 1, 2, 3, 4, 5}, 4, 2) ==
        std::vector<Group>{{0, 1, 2}, {3, 4, 5}});  // each walk is shared
  CHECK(groups_of(points, all, 4, 9).size() == 4);
}

TEST_CASE("of a group that failed each point is tried alone, before anything else") {
  sweep::GroupQueue queue({{0, 1, 2}, {3}});
  queue.put_back_singly(queue.take());
  CHECK(queue.take() == Group{0});
  CHECK(queue.take() == Group{1});
  CHECK(queue.take() == Group{2});
  CHECK(queue.take() == Group{3});
  CHECK(queue.empty());
}

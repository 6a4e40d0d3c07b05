#include <doctest/doctest.h>

#include <vector>

#include "sim/base/convert.hpp"
#include "sim/engine/heads/unit_variance.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

TEST_CASE("the variance of units follows what they gain and give away") {
  const std::vector<float> keys = {0, 0, 4, 0, 2, 3, 5, 5, 1, 0};  // of two channels
  std::vector<Half> halves(keys.size());
  to_half(keys, halves);
  const auto rows = matrix_view<Half>(halves.data(), 5, 2);
  const HeadView view = {rows, rows};
  test::ListedUnits units({{0, 1}, {3}});
  UnitVariance variance;
  CHECK(variance.mean() == 0.0);
  variance.follow(
      ChangeList{{.kind = ChangeKind::created, .unit = 0}, {.kind = ChangeKind::created, .unit = 1}}, units,
      view);
  CHECK(variance.mean() == 4.0 / 2.0);  // (0, 0) and (4, 0) lie 2 from (2, 0); one key alone has none

  units.list(0).push_back(2);
  variance.follow(ChangeList{{.kind = ChangeKind::appended, .unit = 0, .entry = 2}}, units, view);
  CHECK(variance.mean() == (5.0 + 5.0 + 4.0) / 3.0 / 2.0);  // around (2, 1)

  units.pending_list(1) = {4};
  variance.follow(ChangeList{{.kind = ChangeKind::buffered, .unit = 1, .entry = 4}}, units, view);
  CHECK(variance.mean() == (5.0 + 5.0 + 4.0) / 3.0 / 2.0);

  units.list(0) = {1};
  units.add({0, 2});
  variance.follow(ChangeList{{.kind = ChangeKind::split, .unit = 0, .other = 2}}, units, view);
  CHECK(variance.mean() == 3.25 / 3.0);  // (0, 0) and (2, 3) around (1, 1.5)

  units.list(0) = {0, 1};
  units.list(1) = {2};
  units.list(2) = {3};
  variance.follow(ChangeList{{.kind = ChangeKind::regrouped, .unit = -1}}, units, view);
  CHECK(variance.mean() == 4.0 / 3.0);
}

}  // namespace
}  // namespace kvr

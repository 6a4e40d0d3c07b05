#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/base/convert.hpp"
#include "sim/base/error.hpp"
#include "sim/engine/statistics/static_drift.hpp"
#include "tests/engine/support.hpp"

namespace kvr {
namespace {

/// Keys of two channels; the first four are the prompt, in two units with the centroids (1, 0) and (10, 2).
struct Case {
  Case() { to_half(keys, halves); }

  HeadView view(std::int64_t entries) const {
    const auto rows = matrix_view<Half>(halves.data(), entries, 2);
    return {rows, rows};
  }
  static ChangeList joins(EntryIndex entry, UnitId unit) {
    return {{.kind = ChangeKind::appended, .unit = unit, .entry = entry}};
  }

  std::vector<float> keys = {0, 0, 2, 0, 10, 0, 10, 4, 1, 3, 10, 1, 1, 1, 1, 0, 12, 2};
  std::vector<Half> halves = std::vector<Half>(keys.size());
  test::ListedUnits units{{{0, 1}, {2, 3}}};
};

TEST_CASE("drift is measured from the centroids of the prompt, quarter by quarter") {
  const Case c;
  StaticDrift drift(c.units, c.view(4), 5);
  CHECK(drift.prompt_variance() == (1.0 + 1.0 + 4.0 + 4.0) / 4.0);
  drift.follow(Case::joins(4, 0), c.view(5));  // five steps: two fall in the first quarter
  drift.follow(Case::joins(5, 1), c.view(6));
  drift.follow(Case::joins(6, 0), c.view(7));
  drift.follow(Case::joins(7, 0), c.view(8));
  drift.follow(Case::joins(8, 1), c.view(9));
  CHECK(drift.quarter_variance(0) == (9.0 + 1.0) / 2.0);
  CHECK(drift.quarter_variance(1) == 1.0);
  CHECK(drift.quarter_variance(2) == 0.0);
  CHECK(drift.quarter_variance(3) == 4.0);
}

TEST_CASE("a quarter without steps has no variance") {
  const Case c;
  StaticDrift drift(c.units, c.view(4), 2);
  drift.follow(Case::joins(4, 0), c.view(5));
  drift.follow(Case::joins(5, 1), c.view(6));
  CHECK(drift.quarter_variance(0) == 9.0);
  CHECK(std::isnan(drift.quarter_variance(1)));
  CHECK(drift.quarter_variance(2) == 1.0);
  CHECK(std::isnan(drift.quarter_variance(3)));
}

TEST_CASE("units that are not static are refused") {
  const Case c;
  StaticDrift drift(c.units, c.view(4), 2);
  CHECK_THROWS_AS(drift.follow(ChangeList{}, c.view(5)), InternalError);
  CHECK_THROWS_AS(drift.follow(ChangeList{{.kind = ChangeKind::created, .unit = 2}}, c.view(5)),
                  InternalError);
}

TEST_CASE("quarters differ in length by one step at most") {
  for (std::int64_t steps = 1; steps <= 40; ++steps) {
    std::vector<std::int64_t> lengths(4, 0);
    for (std::int64_t step = 0; step < steps; ++step) {
      ++lengths[static_cast<std::size_t>(quarter_of(step, steps))];
    }
    for (const std::int64_t length : lengths) {
      CHECK(length >= steps / 4);
      CHECK(length <= (steps + 3) / 4);
    }
  }
}

}  // namespace
}  // namespace kvr

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/engine/recording/update_reuse.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using Counts = std::vector<std::int64_t>;

Change appended(UnitId unit) {
  return {.kind = ChangeKind::appended, .unit = unit, .entry = 0};
}
Change split(UnitId unit, UnitId other) {
  return {.kind = ChangeKind::split, .unit = unit, .other = other};
}

void follow(UpdateReuse& reuse, const std::vector<UnitId>& demanded, const ChangeList& changes) {
  std::vector<UnitChoice> choices;
  for (const UnitId unit : demanded) {
    choices.push_back({unit, 0, 1});
  }
  reuse.follow(choices, changes);
}

/// Of the step `within` before the last one; -1 where there is none.
Counts all_reused(const UpdateReuse& reuse) {
  Counts counts;
  for (const std::int64_t within : kWindows) {
    counts.push_back(reuse.reused(within).value_or(-1));
  }
  return counts;
}

TEST_CASE("reuse of updated units is counted from the step after the update on") {
  UpdateReuse reuse;
  follow(reuse, {1}, {appended(1)});  // step 0; demanded before it was updated
  CHECK(reuse.updated() == 1);
  CHECK(all_reused(reuse) == Counts{-1, -1, -1, -1, -1});
  follow(reuse, {2, 3}, {split(2, 5), appended(2)});  // step 1: units 2 and 5
  CHECK(reuse.updated() == 2);
  CHECK(all_reused(reuse) == Counts{0, -1, -1, -1, -1});
  follow(reuse, {1, 5}, {});  // step 2: unit 1 after two steps, unit 5 after one
  CHECK(reuse.updated() == 0);
  CHECK(all_reused(reuse) == Counts{1, 1, -1, -1, -1});
  follow(reuse, {5}, {});  // step 3
  CHECK(all_reused(reuse) == Counts{0, 1, -1, -1, -1});
  follow(reuse, {2}, {});  // step 4: unit 2 after three steps
  CHECK(all_reused(reuse) == Counts{0, 0, 1, -1, -1});
  follow(reuse, {}, {});  // step 5
  CHECK(all_reused(reuse) == Counts{0, 0, 2, -1, -1});
}

TEST_CASE("reuse within 16 steps takes the sixteenth in and the seventeenth not") {
  for (const std::int64_t lag : {16, 17}) {
    UpdateReuse reuse;
    follow(reuse, {}, {appended(7)});
    for (std::int64_t step = 1; step <= 17; ++step) {
      follow(reuse, step == lag ? std::vector<UnitId>{7} : std::vector<UnitId>{}, {appended(7)});
      if (step == 16) {
        CHECK(reuse.reused(16) == (lag == 16 ? 1 : 0));
        CHECK(reuse.reused(8) == (lag == 16 ? 1 : 0));  // of step 8, which updated it as well
      }
    }
  }
}

TEST_CASE("entries that wait, loads, units newly created and regroupings are no updates") {
  UpdateReuse reuse;
  follow(reuse, {},
         {{.kind = ChangeKind::buffered, .unit = 1, .entry = 4},
          {.kind = ChangeKind::wants_load, .unit = 1},
          {.kind = ChangeKind::created, .unit = 2},
          {.kind = ChangeKind::regrouped, .unit = -1}});
  CHECK(reuse.updated() == 0);
}

TEST_CASE(
    "in a replay, reuse is known but for the last steps, grows with the window and fits its summaries") {
  const test::ReplayFixture fixture;
  test::Setup setup;
  setup.clustering = "{type: kmeans, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.recent = 0;
  const PointResult result = fixture.run(setup);
  CHECK(test::total(result, Metric::updated_units) == 40.0 * test::kHeads);  // one append each
  const std::int64_t steps = result.data.steps();
  for (std::int64_t step = 0; step < steps; ++step) {
    double before = 0.0;
    for (std::size_t i = 0; i < kWindows.size(); ++i) {
      const double reused = result.data.at_window(Metric::reused_within, step, 1, 1, i);
      REQUIRE(std::isnan(reused) == (step + kWindows[i] >= steps));
      if (!std::isnan(reused)) {
        CHECK(reused >= before);
        CHECK(reused <= 1.0);
        before = reused;
      }
    }
  }
}

TEST_CASE("a budget for everything demands every updated unit in the next step") {
  const test::ReplayFixture fixture;
  test::Setup setup;
  setup.clustering = "{type: kmeans, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.sinks = 0;
  setup.recent = 0;
  const PointResult result = fixture.run(setup.with_budget(1000));
  for (std::int64_t step = 0; step + 1 < result.data.steps(); ++step) {
    CHECK(result.data.at_window(Metric::reused_within, step, 0, 0, 0) == 1.0);
  }
}

}  // namespace
}  // namespace kvr

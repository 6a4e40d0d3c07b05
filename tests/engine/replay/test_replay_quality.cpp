// What a replay says about recall, mass and error, for every combination of the shipped policies.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;
using test::values;

constexpr double kFloat = 1e-5;
constexpr std::int64_t kEverything = 1000;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

void check_exact(const PointResult& result) {
  CHECK(largest(result, Metric::output_error) <= kFloat);
  CHECK(smallest(result, Metric::recall) == 1.0);
  CHECK(smallest(result, Metric::mass) >= 1.0 - kFloat);
  CHECK(largest(result, Metric::mass) <= 1.0 + kFloat);
  CHECK(smallest(result, Metric::relative_mass) >= 1.0 - kFloat);
}

TEST_CASE("a budget for everything is full attention, whatever the policies") {
  for (const Setup& setup : test::all_setups()) {
    CAPTURE(setup.describe());
    const PointResult result = fixture().run(setup.with_budget(kEverything));
    check_exact(result);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      CHECK(result.data.at(Metric::attended_entries, step, 1, 1) ==
            result.data.at(Metric::position, step) + 1);
    }
  }
}

TEST_CASE("exact scores of single entries, one choice per query head, are the best choice at any budget") {
  Setup setup;
  setup.fold = "none";
  for (const std::int64_t budget : {0, 1, 3, 10, 33, 80, 1000}) {
    for (const std::int64_t pins : {0, 4}) {
      CAPTURE(budget);
      CAPTURE(pins);
      setup.sinks = pins;
      setup.recent = pins;
      const PointResult result = fixture().run(setup.with_budget(budget));
      if (budget == 0) {  // nothing may be chosen: no value
        CHECK(std::ranges::all_of(values(result, Metric::recall), [](double r) { return std::isnan(r); }));
      } else {
        CHECK(smallest(result, Metric::recall) == 1.0);
      }
      CHECK(smallest(result, Metric::relative_mass) >= 1.0 - 1e-9);
      CHECK(largest(result, Metric::relative_mass) <= 1.0 + 1e-9);
    }
  }
}

TEST_CASE("entries whose weight is too small for a float are as good as one another") {
  trace::SynthOptions options = test::small_trace();
  options.sharpness_nats = 300.0;
  options.sink_nats = 0.0;
  const test::ReplayFixture steep(options);
  Setup setup;
  setup.fold = "none";
  const PointResult result = steep.run(setup.with_budget(40));
  CHECK(smallest(result, Metric::recall) == 1.0);
}

TEST_CASE("the mean over a group of exact scores is no better than a choice per query head") {
  Setup setup;
  const PointResult together = fixture().run(setup);
  setup.fold = "none";
  const PointResult apart = fixture().run(setup);
  CHECK(smallest(together, Metric::recall) < 1.0);
  for (std::size_t i = 0; i < values(apart, Metric::mass).size(); ++i) {
    CHECK(values(together, Metric::mass)[i] <= values(apart, Metric::mass)[i] + 1e-6);
  }
}

TEST_CASE("no policy covers more mass than the exact choice of as many entries") {
  Setup oracle;
  oracle.fold = "none";
  for (const std::int64_t budget : {4, 17}) {
    const PointResult best = fixture().run(oracle.with_budget(budget));
    for (const Setup& setup : test::all_setups()) {
      CAPTURE(setup.describe());
      const PointResult result = fixture().run(setup.with_budget(budget));
      for (std::size_t i = 0; i < values(best, Metric::mass).size(); ++i) {
        CHECK(values(result, Metric::selected_entries)[i] <= values(best, Metric::selected_entries)[i]);
        CHECK(values(result, Metric::mass)[i] <= values(best, Metric::mass)[i] + 1e-6);
      }
    }
  }
}

TEST_CASE("a larger budget never covers less mass") {
  for (const Setup& setup : test::all_setups()) {
    for (const char* last_unit : {"cut", "drop"}) {
      Setup one = setup;
      one.last_unit = last_unit;
      std::vector<double> before(40 * test::kHeads, 0.0);
      for (const std::int64_t budget : {0, 6, 20, 50}) {
        CAPTURE(one.describe());
        CAPTURE(budget);
        const PointResult result = fixture().run(one.with_budget(budget));
        const auto mass = values(result, Metric::mass);
        REQUIRE(mass.size() == before.size());
        for (std::size_t i = 0; i < mass.size(); ++i) {
          CHECK(mass[i] >= before[i] - 1e-6);
        }
        before.assign(mass.begin(), mass.end());
      }
    }
  }
}

TEST_CASE("shares stay between 0 and 1, and no more is selected than the budget allows") {
  for (Setup setup : test::all_setups()) {
    CAPTURE(setup.describe());
    setup.norm = setup.replacement == "lru" ? "softmax" : "none";
    const PointResult result = fixture().run(setup);
    for (const Metric share : {Metric::recall, Metric::mass, Metric::relative_mass}) {
      CHECK(smallest(result, share) >= 0.0);
      CHECK(largest(result, share) <= 1.0 + 1e-6);
    }
    CHECK(smallest(result, Metric::output_error) >= 0.0);
    CHECK(largest(result, Metric::selected_entries) <= 10.0);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      const double pinned = result.data.at(Metric::attended_entries, step, 0, 1) -
                            result.data.at(Metric::selected_entries, step, 0, 1);
      CHECK(pinned == 2 + 5 + 1);  // sinks, recent window, current entry
    }
  }
}

TEST_CASE("int8 changes errors slightly and leaves recall a share") {
  for (const Setup& setup : test::all_setups()) {
    CAPTURE(setup.describe());
    Setup rounded = setup.with_budget(kEverything);
    rounded.codec = "int8";
    const PointResult full = fixture().run(rounded);
    CHECK(largest(full, Metric::output_error) > kFloat);
    CHECK(largest(full, Metric::output_error) < 0.1);
    CHECK(smallest(full, Metric::recall) == 1.0);
    rounded = setup;
    rounded.codec = "int8";
    const PointResult part = fixture().run(rounded);
    CHECK(smallest(part, Metric::recall) >= 0.0);
    CHECK(largest(part, Metric::recall) <= 1.0);
  }
}

TEST_CASE("units that keep no state give the same quality wherever the replay starts") {
  Setup setup;
  const PointResult all = fixture().run(setup);
  setup.first_step = 10;
  setup.steps = 15;
  const PointResult part = fixture().run(setup);
  REQUIRE(part.data.steps() == 15);
  for (std::int64_t step = 0; step < 15; ++step) {
    for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error}) {
      CHECK(part.data.at(metric, step, 1, 0) == all.data.at(metric, step + 10, 1, 0));
    }
    CHECK(part.data.at(Metric::position, step) == 65.0 + 10.0 + static_cast<double>(step));
  }
}

TEST_CASE("a recorded span of everything has the mass of all that is attended to; parts of it add up") {
  const auto recorded = [](std::int64_t first, std::int64_t tokens) {
    Setup setup;
    setup.stages_before =
        "{when: [prefill_end, step], effect: evict, units: token, scorer: position, budget: {type: fixed, "
        "entries: 0}, pins: {sinks: 2, recent: 30}}";
    setup.record = fmt::format("{{span: {{first: {}, tokens: {}}}}}", first, tokens);
    return fixture().run(setup);
  };
  const PointResult all = recorded(0, 105);
  const PointResult first = recorded(0, 40);
  const PointResult rest = recorded(40, 65);
  CHECK(!recorded(0, 0).data.recorded(Metric::span_mass));
  for (std::size_t i = 0; i < values(all, Metric::mass).size(); ++i) {
    const auto value = [i](const PointResult& result, Metric metric) { return values(result, metric)[i]; };
    CHECK(value(all, Metric::span_true_mass) == doctest::Approx(1.0));
    CHECK(value(all, Metric::span_mass) == doctest::Approx(value(all, Metric::mass)));
    CHECK(value(all, Metric::span_mass) ==
          doctest::Approx(value(first, Metric::span_mass) + value(rest, Metric::span_mass)));
    CHECK(value(first, Metric::span_mass) <= value(first, Metric::span_true_mass));
  }
}

}  // namespace
}  // namespace kvr

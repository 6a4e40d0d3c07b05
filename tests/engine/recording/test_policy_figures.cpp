// Figures that policies and devices add to the results: over every dimension, from heads, layers and stages.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/interfaces/budget.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/reporting_policies.hpp"

namespace kvr {
namespace {

using test::Setup;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture shared;
  return shared;
}

constexpr std::int64_t kSteps = 5;
constexpr std::int64_t kPrompt = 65;

Setup reporting() {
  Setup setup;
  setup.clustering = test::kReporting;
  setup.budget = test::kReportingBudget;
  setup.steps = kSteps;
  return setup;
}

const OwnFigure* find(const PointResult& result, const std::string& name) {
  const auto found = std::ranges::find(result.data.figures(), name, &OwnFigure::name);
  return found == result.data.figures().end() ? nullptr : &*found;
}

const OwnFigure& figure(const PointResult& result, const std::string& name) {
  CAPTURE(name);
  const OwnFigure* found = find(result, name);
  REQUIRE(found != nullptr);
  return *found;
}

std::string fault_of(const std::string& fault) {
  Setup setup = reporting();
  setup.clustering = "{type: test_reporting, fault: " + fault + "}";
  try {
    fixture().run(setup);
  } catch (const PolicyFault& error) {
    return error.what();
  }
  FAIL("no fault");
  return "";
}

double total(const OwnFigure& figure) {
  double sum = 0.0;
  for (const double value : figure.values) {
    sum += std::isnan(value) ? 0.0 : value;
  }
  return sum;
}

}  // namespace

TEST_CASE(
    "figures over steps, layers and heads have the values that the policy gave, coarser ones their sum") {
  for (const std::int64_t threads : {1, 3}) {
    Setup setup = reporting();
    setup.threads = threads;
    const PointResult result = fixture().run(setup);

    const OwnFigure& entries = figure(result, "test_reporting.entries");
    CHECK(entries.dims == Dims::step_layer_head);
    CHECK(entries.unit == "entries");
    CHECK(entries.long_name == "entries handed over");
    CHECK(entries.formula == "count");
    CHECK(entries.policy == "clustering 'test_reporting'");
    REQUIRE(entries.values.size() == kSteps * 4);
    const OwnFigure& code = figure(result, "test_reporting.code");
    REQUIRE(code.values.size() == kSteps * 2);
    const OwnFigure& appended = figure(result, "test_reporting.appended");
    REQUIRE(appended.values.size() == kSteps);
    const OwnFigure& of_budget = figure(result, "test_reporting_budget.code");
    const OwnFigure& asked = figure(result, "test_reporting_budget.asked");
    const std::vector<double> codes = {0, 1, 100, 101};
    for (std::size_t step = 0; step < kSteps; ++step) {
      CAPTURE(step);
      CHECK(code.values[2 * step] == 1.0);       // 0 + 1
      CHECK(code.values[2 * step + 1] == 21.0);  // 10 + 11
      CHECK(appended.values[step] == 4.0);       // one a head
      CHECK(asked.values[2 * step] == 2.0);      // each of two heads
      CHECK(asked.values[2 * step + 1] == 2.0);
      for (std::size_t head = 0; head < 4; ++head) {
        CHECK(entries.values[4 * step + head] == kPrompt + 1.0 + static_cast<double>(step));
        CHECK(of_budget.values[4 * step + head] == codes[head]);
      }
    }
  }
}

TEST_CASE("where a policy leaves a figure out there is no value, and a note says so") {
  const PointResult result = fixture().run(reporting());
  const OwnFigure& seldom = figure(result, "test_reporting.seldom");
  for (std::size_t step = 0; step < kSteps; ++step) {  // 66 entries, 67, ...
    CHECK(std::isnan(seldom.values[4 * step + 3]) == (step % 2 == 1));
  }
  CHECK(std::ranges::count(result.notes,
                           "test_reporting.seldom has 12 of 20 values; clustering "
                           "'test_reporting' gave no others") == 1);
}

TEST_CASE("heads that decide together have the same figure, and are added up once") {
  Setup setup = reporting();
  setup.heads_together = true;
  const PointResult result = fixture().run(setup);
  CHECK(figure(result, "test_reporting.appended").values[2] == 2.0);
  CHECK(figure(result, "test_reporting.code").values ==
        std::vector<double>{0, 10, 0, 10, 0, 10, 0, 10, 0, 10});
  const OwnFigure& entries = figure(result, "test_reporting.entries");
  CHECK(std::ranges::all_of(std::span(entries.values).first(4),
                            [](double value) { return value == kPrompt + 1.0; }));
  const OwnFigure& code = figure(result, "test_reporting_budget.code");
  CHECK(std::vector(code.values.begin(), code.values.begin() + 4) == std::vector<double>{0, 0, 100, 100});
}

TEST_CASE("of two stages with one policy the second has a number") {
  Setup setup = reporting();
  setup.stages_before = "{scorer: exact, budget: test_reporting_budget, layers: '1'}";
  const PointResult result = fixture().run(setup);
  const OwnFigure& first = figure(result, "test_reporting_budget.asked");
  const OwnFigure& second = figure(result, "test_reporting_budget@2.asked");
  CHECK(std::vector(first.values.begin(), first.values.begin() + 2) == std::vector<double>{0, 2});
  CHECK(std::vector(second.values.begin(), second.values.begin() + 2) == std::vector<double>{2, 2});
}

TEST_CASE("a report that breaks its declaration is a fault of the policy, told with its place and step") {
  const std::string head = "clustering 'test_reporting': layer 0, head 0: ";
  CHECK(fault_of("undeclared") ==
        head +
            "reports figure 'secret', which it does not declare; declared: entries, code, appended, seldom "
            "(step 2)");
  CHECK(fault_of("twice") == head + "reports figure 'code' twice (step 2)");
  CHECK(fault_of("nan") == head + "figure 'seldom' is nan, no finite number (step 2)");
  CHECK(fault_of("place") == head + "figure 'seldom' is of layer 7, head 0; allowed: below 2 and 2 (step 2)");
  CHECK(fault_of("throws").find(head) == 0);
}

TEST_CASE("what the adaptive clustering divides is what its units grow by") {
  Setup setup;
  setup.clustering = "{type: adaptive, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.layout = "dual_head";
  setup.replacement = "lru";
  setup.cache_bytes = 60 * test::kEntryBytes;
  const PointResult result = fixture().run(setup);
  const OwnFigure& splits = figure(result, "adaptive.splits");
  const std::span<const double> units = result.data.values(Metric::units);
  REQUIRE(splits.values.size() == units.size());
  for (std::size_t i = 4; i < units.size(); ++i) {
    CHECK(splits.values[i] == units[i] - units[i - 4]);
  }
  CHECK(total(splits) > 0.0);
  CHECK(total(figure(result, "adaptive.waiting")) > 0.0);
  const OwnFigure& threshold = figure(result, "adaptive.threshold");
  for (std::size_t i = 4; i < threshold.values.size(); ++i) {
    CHECK(threshold.values[i] == threshold.values[i - 4]);
  }
}

TEST_CASE("devices report what is inside them, step by step") {
  for (const std::string device : {"analytic", "queueing"}) {
    CAPTURE(device);
    Setup setup;
    setup.device = device;
    setup.layout = "cluster_contiguous";
    const PointResult result = fixture().run(setup);
    const OwnFigure& sensed = figure(result, device + ".sensed_bytes");
    REQUIRE(std::ssize(sensed.values) == result.data.steps());
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      const double read =
          result.data.at(Metric::read_bytes, step, 0) + result.data.at(Metric::read_bytes, step, 1);
      CHECK(sensed.values[static_cast<std::size_t>(step)] >= read);  // whole pages
    }
    CHECK(total(figure(result, device + ".slc_bytes")) + total(figure(result, device + ".tlc_bytes")) > 0.0);
  }
}

TEST_CASE("every figure of every implementation is declared whole") {
  for (const auto& [kind, implementations] : Catalogue::instance().kinds()) {
    for (const auto& [name, implementation] : implementations) {
      std::set<std::string> names;
      for (const FigureInfo& one : implementation.figures) {
        CAPTURE(name);
        CAPTURE(one.name);
        CHECK(names.insert(one.name).second);
        CHECK_FALSE((one.name.empty() || one.unit.empty() || one.long_name.empty() || one.formula.empty()));
      }
    }
  }
}

}  // namespace kvr

// Units that are not read but estimated: what that changes and what not. The numbers themselves are held
// against numpy in tests/python/test_estimating_peer.py.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

Setup estimating(std::int64_t entries, const std::string& clustering = "{type: page, page_tokens: 8}") {
  Setup setup;
  setup.clustering = clustering;
  setup.scorer = "centroid";
  setup.budget = fmt::format("{{type: fixed, entries: 10}}, estimate: {{type: fixed, entries: {}}}", entries);
  setup.check = "every_step";
  return setup;
}

Setup dropping(Setup setup) {
  setup.budget = "{type: fixed, entries: 10}";
  return setup;
}

constexpr std::int64_t kEverything = 1000;

TEST_CASE("nothing estimated is today's attention, and an estimate moves the output alone") {
  for (const char* fold : {"none", "mean"}) {
    for (const std::int64_t entries : {std::int64_t{0}, std::int64_t{20}, kEverything}) {
      Setup setup = estimating(entries);
      setup.fold = fold;
      const PointResult estimated = fixture().run(setup);
      const PointResult dropped = fixture().run(dropping(setup));
      for (const Metric metric : {Metric::recall, Metric::mass, Metric::relative_mass, Metric::needed_loaded,
                                  Metric::attended_entries, Metric::selected_entries, Metric::read_bytes,
                                  Metric::hit_units, Metric::demanded_bytes}) {
        CHECK(test::same_bits(estimated, dropped, metric));
      }
      CHECK(test::same_bits(estimated, dropped, Metric::output_error) == (entries == 0));
      CHECK(values(dropped, Metric::estimated_entries).empty());
      CHECK(largest(estimated, Metric::estimated_entries) <= static_cast<double>(entries));
      // The means of the values are kept and read beside those of the keys.
      CHECK(total(estimated, Metric::representative_bytes) > total(dropped, Metric::representative_bytes));
      CHECK(total(estimated, Metric::policy_s) > total(dropped, Metric::policy_s));
    }
  }
}

TEST_CASE("with all that is left estimated every entry is attended to, chosen, pinned or stood for") {
  for (const char* clustering : {"{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7}",
                                 "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"}) {
    for (const char* last_unit : {"cut", "drop"}) {
      for (const char* fold : {"none", "mean"}) {
        CAPTURE(clustering);
        Setup setup = estimating(kEverything, clustering);
        setup.last_unit = last_unit;
        setup.fold = fold;
        const PointResult result = fixture().run(setup);
        for (std::int64_t step = 0; step < result.data.steps(); ++step) {
          for (std::int64_t head = 0; head < 2; ++head) {
            CHECK(result.data.at(Metric::attended_entries, step, 1, head) +
                      result.data.at(Metric::estimated_entries, step, 1, head) ==
                  doctest::Approx(result.data.at(Metric::position, step) + 1.0).epsilon(1e-12));
          }
        }
      }
    }
  }
}

TEST_CASE("single entries are estimated exactly, by heads on their own and together") {
  for (const bool together : {false, true}) {
    for (const char* fold : {"none", "sum"}) {
      Setup setup = estimating(kEverything, "token");
      setup.heads_together = together;
      setup.fold = fold;
      const PointResult result = fixture().run(setup);
      CHECK(largest(result, Metric::output_error) < 1e-5);
      CHECK(smallest(result, Metric::mass) < 0.9);
      CHECK(largest(fixture().run(dropping(setup)), Metric::output_error) > 0.1);
    }
  }
}

TEST_CASE("of a budget that heads share the estimate is shared too") {
  Setup setup = estimating(0);
  setup.budget =
      "{type: pooled, entries: 10}, estimate: {type: pooled, entries: 16, safeguard: 0}, scope: layer";
  const PointResult result = fixture().run(setup);
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    double of_layer = 0.0;
    for (std::int64_t head = 0; head < 2; ++head) {
      of_layer += result.data.at(Metric::estimated_entries, step, 0, head);
    }
    CHECK(of_layer <= 32.0);
  }
  CHECK(total(result, Metric::estimated_entries) > 0.0);
  CHECK(smallest(result, Metric::estimated_entries) < largest(result, Metric::estimated_entries));
}

TEST_CASE("estimates are the same on any number of threads, beside entries that are removed and narrowed") {
  Setup setup = estimating(15, "{type: kmeans, entries_per_cluster: 7, refit_every: 9}");
  setup.stages_before =
      "{when: [prefill_end, step], every: 3, effect: evict, units: token, scorer: position, budget: {type: "
      "fixed, entries: 0}, pins: {sinks: 2, recent: 50}}, {scorer: exact, fold: none, budget: {type: fixed, "
      "entries: 30}}";
  const PointResult one = fixture().run(setup);
  setup.threads = 3;
  CHECK(test::same_bits(one, fixture().run(setup)));
  CHECK(total(one, Metric::estimated_entries) > 0.0);
}

TEST_CASE("a layer takes what another chose, not what it estimated") {
  Setup setup;
  setup.selects = false;
  const std::string top =
      "{name: top, layers: 0, scorer: centroid, budget: {type: fixed, entries: 10}, estimate: {type: fixed, "
      "entries: 20}}, {layers: 1, take: top}";
  setup.stages_before = top;
  const PointResult result = fixture().run(setup);
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CHECK(result.data.at(Metric::estimated_entries, step, 0, 0) > 0.0);
    CHECK(result.data.at(Metric::estimated_entries, step, 1, 0) == 0.0);
  }
}

TEST_CASE("what cannot be estimated is refused") {
  const auto error = [](const std::string& stages) {
    Setup setup;
    setup.selects = false;
    setup.stages_before = stages;
    return fixture().error_of(setup);
  };
  const auto says = [](const std::string& text, const char* what) {
    CHECK_MESSAGE(text.find(what) != std::string::npos, what, " is not in ", text);
  };
  const std::string ranks = "scorer: centroid, budget: fixed, estimate: {type: fixed, entries: 3}";
  const std::string many =
      error(fmt::format("{{name: a, {0}}}, {{effect: evict, {0}}}, {{take: a, estimate: fixed}}", ranks));
  says(many, "system.stages.0.estimate: stage 2 narrows in layer 0 what this one selects; allowed: none");
  says(many,
       "system.stages.1.estimate: only a stage that selects says what is attended to; allowed: none, "
       "or effect select");
  says(many,
       "system.stages.2.estimate: a stage that takes what 'a' chose has no scorer to estimate by; "
       "allowed: none");
  says(error("{scorer: exact, budget: fixed, estimate: fixed}"),
       "system.stages.0.scorer.type: 'exact' keeps nothing that could stand for entries that are not read, "
       "and the stage estimates (");
}

}  // namespace
}  // namespace kvr

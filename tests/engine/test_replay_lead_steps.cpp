// Guesses that are made when the step before ends: what they choose is what `last_step` chooses within the
// step, which test_replay_prefetch.cpp holds against a plain ranking; they are read from the step's begin on.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

const std::string kRanks = "scorer: exact, budget: {type: fixed, entries: 10}";
const std::string kPins = "pins: {sinks: 2, recent: 5}";

/// Every layer reads ahead what `queries` rank best, `lead` before, and selects by `select`; of a model of
/// six layers.
Setup guessing(const std::string& queries, const std::string& lead, const std::string& select = kRanks) {
  Setup setup;
  setup.selects = false;
  setup.stages_before = fmt::format(
      "{{name: guess, effect: prefetch, queries: {0}, lead: {{{1}}}, {2}}}, {{{3}, {4}}}, {{when: "
      "[prefill_end, step], every: 3, effect: evict, units: token, scorer: position, budget: {{type: fixed, "
      "entries: 0}}, pins: {{sinks: 2, recent: 40}}}}",
      queries, lead, kRanks, select, kPins);
  setup.model = "{type: decoder, layers: 6}";
  setup.schedule = "look_ahead";
  setup.check = "every_step";
  return setup;
}

TEST_CASE("a guess at the end of the step before is one by the step before that is read from the begin on") {
  for (const char* queries : {"last_step", "oracle"}) {
    for (const char* clustering : {"token", "{type: kmeans, entries_per_cluster: 7, refit_every: 9}"}) {
      for (const char* schedule : {"look_ahead", "serial", "dynakv"}) {
        for (const std::string& select : {kRanks, std::string("take: guess, recheck: 0.9")}) {
          CAPTURE(queries);
          CAPTURE(clustering);
          CAPTURE(schedule);
          const auto run = [&](const std::string& lead) {
            Setup setup = guessing(queries, lead, select);
            setup.clustering = clustering;
            setup.schedule = schedule;
            setup.replacement = "lru";
            setup.cache_bytes = 60 * test::kEntryBytes;
            return fixture().run(setup);
          };
          const PointResult ended = run("steps: 1");
          CHECK(test::same_bits(ended, run("layers: 6")));
          const PointResult late = run("layers: 1");
          for (const Metric metric : {Metric::recall, Metric::output_error, Metric::guessed_bytes,
                                      Metric::rightly_guessed_bytes, Metric::hit_units, Metric::read_bytes}) {
            CHECK(test::same_bits(ended, late, metric));
          }
          CHECK(total(ended, Metric::rightly_guessed_bytes) > 0.0);
          if (std::string_view(schedule) != "dynakv") {  // where they get in the way of representatives
            CHECK(total(ended, Metric::latency_s) <= total(late, Metric::latency_s) * (1.0 + 1e-9));
          }
        }
      }
    }
  }
}

TEST_CASE("what an oracle guesses when the step before ends is what is demanded: the same reads, earlier") {
  for (const std::string& select : {kRanks, std::string("take: guess")}) {
    const PointResult ahead = fixture().run(guessing("oracle", "steps: 1", select));
    Setup setup = guessing("oracle", "steps: 1");
    setup.stages_before = setup.stages_before.substr(setup.stages_before.find("}, {scorer") + 3);
    const PointResult demanded = fixture().run(setup);
    for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error, Metric::hit_units,
                                Metric::useful_read_bytes, Metric::read_bytes, Metric::read_requests}) {
      CHECK(test::same_bits(ahead, demanded, metric));
    }
    CHECK(total(demanded, Metric::guessed_bytes) == 0.0);
    CHECK(total(ahead, Metric::guessed_bytes) == total(ahead, Metric::rightly_guessed_bytes));
    CHECK(total(ahead, Metric::latency_s) < total(demanded, Metric::latency_s));
    // Six layers' guesses are held at once.
    for (std::int64_t step = 0; step < ahead.data.steps(); ++step) {
      CHECK(ahead.data.at(Metric::working_buffer_bytes, step) ==
            6.0 * demanded.data.at(Metric::working_buffer_bytes, step));
    }
  }
}

TEST_CASE("what the layer below takes queries to be is not there a step before") {
  Setup setup = guessing("previous_layer", "steps: 1");
  const std::string text = fixture().error_of(setup);
  const char* what =
      "system.stages.0.lead.steps: the layer below speculates on these queries within the step (1); allowed: "
      "0";
  CHECK_MESSAGE(text.find(what) != std::string::npos, text);
}

}  // namespace
}  // namespace kvr

// What is found wrong with a point before it is replayed is told together, whichever part finds it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/replay.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "traces/reader.hpp"

namespace kvr {
namespace {

using test::Setup;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture shared;
  return shared;
}

std::vector<std::string> problems_with(const Setup& setup) {
  try {
    const trace::Reader reader(fixture().trace_path());
    const trace::Reader* const traces[] = {&reader};
    check_point(fixture().config(setup), traces);
  } catch (const InputError& error) {
    return error.problems();
  }
  return {};
}

/// Whether there are as many problems as `keys`, one that names each.
bool names_each(const std::vector<std::string>& problems, const std::vector<std::string>& keys) {
  return problems.size() == keys.size() && std::ranges::all_of(keys, [&](const std::string& key) {
           return std::ranges::count_if(problems, [&](const std::string& problem) {
                    return problem.find(fmt::format(": {}: ", key)) != std::string::npos;
                  }) == 1;
         });
}

/// Notes that tell of a scope.
std::vector<std::string> scope_notes(const std::string& budget) {
  Setup setup;
  setup.stages_before =
      fmt::format("{{scorer: exact, budget: {}, scope: layer, pins: {{sinks: 1}}}}", budget);
  setup.selects = false;
  setup.steps = 2;
  std::vector<std::string> notes = fixture().run(setup).notes;
  std::erase_if(notes, [](const std::string& note) { return note.find("scope") == std::string::npos; });
  return notes;
}

}  // namespace

TEST_CASE("a point without problems has none") {
  CHECK(problems_with({}).empty());
}

TEST_CASE("steps, device, model and stages are told together") {
  Setup setup;
  setup.steps = 1000;
  setup.device = "{type: analytic, slc_bandwidth: 3GB/s}";
  setup.model = "{type: decoder, layers: 1}";
  setup.stages_before = "{scorer: exact, budget: {type: fixed}, recheck: 0.5}";
  const std::vector<std::string> problems = problems_with(setup);
  CAPTURE(fmt::format("{}", fmt::join(problems, "\n")));
  CHECK(
      names_each(problems, {"run.steps", "device.slc_bandwidth", "model.layers", "system.stages.0.recheck"}));
}

TEST_CASE("a span beyond the trace is told with what else is wrong") {
  Setup setup;
  setup.steps = 1000;
  setup.record = "{span: {first: 100, tokens: 6}}";  // of 105 tokens
  CHECK(names_each(problems_with(setup), {"run.steps", "record.span"}));
  setup.steps = 0;
  setup.record = "{span: {first: 100, tokens: 5}}";
  CHECK(problems_with(setup).empty());
}

TEST_CASE("what tiers of memory refuse is told together, and with what else is wrong") {
  Setup setup;
  setup.steps = 1000;
  setup.replacement = "lru";
  setup.cache_bytes = 10;  // less than an entry
  setup.tiers =
      "[{name: gpu}, {name: small, capacity: 12B, bandwidth: 10GB/s, replacement: lru}, "
      "{name: smaller, capacity: 11B, bandwidth: 10GB/s, replacement: lru}, {name: ssd}]";
  const std::vector<std::string> problems = problems_with(setup);
  CAPTURE(fmt::format("{}", fmt::join(problems, "\n")));
  CHECK(names_each(problems, {"run.steps", "system.cache.capacity", "system.tiers.1.capacity",
                              "system.tiers.2.capacity"}));
}

TEST_CASE("the scope of a budget that gives each head its own has no effect, and a note says so") {
  const std::vector<std::string> notes = scope_notes("{type: fixed, entries: 9}");
  REQUIRE(notes.size() == 1);
  CHECK(notes.front().starts_with("no effect: system.stages.0.scope ("));
  CHECK(notes.front().ends_with("): budget 'fixed' gives each head its own"));
  CHECK(scope_notes("{type: fraction, share: 0.5}").size() == 1);
  CHECK(scope_notes("pooled").empty());
}

}  // namespace kvr

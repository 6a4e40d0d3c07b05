// Short prompts, no pins, no budget: what must neither crash nor silently change its meaning.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

std::vector<Setup> edge_setups() {
  std::vector<Setup> setups = test::all_setups();
  for (const char* layout : {"token_order", "cluster_contiguous"}) {
    Setup splitting;
    splitting.clustering = "{type: " + std::string(test::kSplitting) + ", max_members: 2}";
    splitting.layout = layout;
    splitting.replacement = "lru";
    splitting.cache_bytes = 9 * test::kEntryBytes;
    setups.push_back(splitting);
  }
  return setups;
}

void check_shares(const PointResult& result) {
  for (const double recall : values(result, Metric::recall)) {
    CHECK((std::isnan(recall) || (recall >= 0.0 && recall <= 1.0 + 1e-6)));
  }
  CHECK(smallest(result, Metric::mass) >= 0.0);
  CHECK(largest(result, Metric::mass) <= 1.0 + 1e-6);
  for (const double error : values(result, Metric::output_error)) {
    CHECK(std::isfinite(error));
  }
}

/// Where nothing may be chosen there is nothing to be found.
void check_no_recall(const PointResult& result) {
  CHECK(
      std::ranges::all_of(values(result, Metric::recall), [](double recall) { return std::isnan(recall); }));
}

test::ReplayFixture with_prompt(std::int64_t prompt) {
  trace::SynthOptions options = test::small_trace();
  options.prompt = prompt;
  options.sinks = std::min(options.sinks, prompt);
  options.steps = 9;
  options.prompt_window = 0;
  return test::ReplayFixture(options);
}

TEST_CASE("a prompt of one token, with and without pins, is replayed by every system") {
  const test::ReplayFixture fixture = with_prompt(1);
  for (Setup setup : edge_setups()) {
    for (const std::int64_t pins : {0, 4}) {
      CAPTURE(setup.describe());
      CAPTURE(pins);
      setup.sinks = pins;
      setup.recent = pins;
      const PointResult result = fixture.run(setup.with_budget(3));
      check_shares(result);
      const double attended = result.data.at(Metric::attended_entries, 0, 0, 0);
      CHECK(attended == 2.0);  // the prompt and the current token, selected or pinned
    }
  }
}

TEST_CASE("while the sequence is shorter than its pins everything is attended to and nothing is read") {
  const test::ReplayFixture fixture = with_prompt(3);
  for (Setup setup : edge_setups()) {
    CAPTURE(setup.describe());
    setup.sinks = 8;
    setup.recent = 100;
    const PointResult result = fixture.run(setup);
    check_shares(result);
    CHECK(total(result, Metric::demanded_units) == 0.0);
    CHECK(largest(result, Metric::output_error) <= 1e-5);
    check_no_recall(result);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      CHECK(result.data.at(Metric::attended_entries, step, 1, 1) == 4.0 + static_cast<double>(step));
    }
  }
}

TEST_CASE("no recent window means the current entry alone, not everything") {
  const test::ReplayFixture fixture = with_prompt(40);
  Setup setup;
  setup.sinks = 0;
  setup.recent = 0;
  const PointResult result = fixture.run(setup.with_budget(0));
  CHECK(largest(result, Metric::attended_entries) == 1.0);
  CHECK(largest(result, Metric::selected_entries) == 0.0);
  CHECK(total(result, Metric::read_bytes) == 0.0);
  setup.recent = 3;
  CHECK(largest(fixture.run(setup.with_budget(0)), Metric::attended_entries) == 4.0);
  setup.recent = 0;
  setup.sinks = 2;
  CHECK(largest(fixture.run(setup.with_budget(0)), Metric::attended_entries) == 3.0);
}

TEST_CASE("without a budget every system attends to its pins and pending entries only and reads nothing") {
  const test::ReplayFixture fixture = with_prompt(40);
  for (const Setup& setup : edge_setups()) {
    CAPTURE(setup.describe());
    const PointResult result = fixture.run(setup.with_budget(0));
    check_shares(result);
    CHECK(total(result, Metric::demanded_bytes) == 0.0);
    check_no_recall(result);
  }
}

TEST_CASE("one layer, one KV head, one query head and the smallest head dimension work") {
  trace::SynthOptions options = test::small_trace();
  options.layers = 1;
  options.kv_heads = 1;
  options.group = 1;
  options.head_dim = 2;
  options.steps = 5;
  const test::ReplayFixture fixture(options);
  for (Setup setup : edge_setups()) {
    CAPTURE(setup.describe());
    setup.cache_bytes = 1 << 12;
    check_shares(fixture.run(setup));
  }
}

}  // namespace
}  // namespace kvr

// The shipped codecs with state in replays: under all that moves entries, with keys turned back, and with a
// tail whose entries have sizes before they have records.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/stages.hpp"

namespace kvr {
namespace {

using test::kGuess;
using test::kThreeTiers;
using test::kTwoMemories;
using test::kUnits;
using test::kWindow;
using test::Setup;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

std::vector<Setup> varied_setups(const std::string& codec) {
  std::vector<Setup> setups;
  const std::vector<std::string> clusterings = {
      "token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
      "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"};
  const std::vector<std::string> layouts = {"token_order",
                                            "{type: token_order, interleave_heads: true, page_buffer: 4KiB}"};
  const std::vector<std::string> replacements = {"none", "lru", "cluster_aligned"};
  const std::vector<std::string> before = {"", kWindow, kUnits, kGuess};
  const std::vector<std::string> tiers = {"[]", kThreeTiers, kTwoMemories, "[{name: dram}]"};
  for (std::size_t i = 0; i < clusterings.size() * tiers.size(); ++i) {
    Setup setup;
    setup.clustering = clusterings[i % clusterings.size()];
    setup.tiers = tiers[i / clusterings.size()];
    setup.layout = layouts[i % layouts.size()];
    setup.stages_before = before[(i + i / 4) % before.size()];
    const bool guesses = setup.stages_before == kGuess;
    setup.replacement = replacements[i % replacements.size()];
    if (guesses && setup.tiers != "[]") {
      setup.stages_before = kUnits;
    }
    setup.schedule = setup.stages_before == kGuess ? "look_ahead" : "serial";
    setup.heads_together = i % 3 == 1;
    setup.cache_bytes = 60 * test::kEntryBytes;
    setup.check = "every_step";
    setup.codec = codec;
    setups.push_back(setup);
  }
  return setups;
}

TEST_CASE("residuals hold in every step, on any number of threads, under all that moves entries") {
  double along = 0.0;
  double held = 0.0;
  for (const char* const codec :
       {"{type: delta, stride: 5, sinks: 2, rank: 4, references: 2, tail: 0}",
        "{type: delta, stride: 3, growth: 0.1, sinks: 1, rank: 6, latent: int4, tail: 9}",
        "{type: delta, stride: 4, sinks: 0, rank: 0, tail: 70}",
        "{type: delta, stride: 4, whole_layers: '0', tail: 3}"}) {
    std::size_t at = 0;
    for (Setup setup : varied_setups(codec)) {
      CAPTURE(codec);
      CAPTURE(setup.describe());
      CAPTURE(setup.tiers);
      CAPTURE(setup.stages_before);
      setup.joint_codec = at++ % 2 == 1;
      setup.threads = 1;
      const PointResult result = fixture().run(setup);
      along += total(result, Metric::reference_read_bytes);
      held += total(result, Metric::referenced_bytes);
      setup.threads = 3;
      CHECK(test::same_bits(result, fixture().run(setup)));
    }
  }
  CHECK(along > 0.0);
  CHECK(held > 0.0);
}

TEST_CASE("sparse codes hold in every step, on any number of threads, under all that moves entries") {
  for (Setup setup : varied_setups("{type: sparse_code, nonzeros: 3, atoms: 12}")) {
    CAPTURE(setup.describe());
    CAPTURE(setup.tiers);
    CAPTURE(setup.stages_before);
    setup.threads = 1;
    const PointResult result = fixture().run(setup);
    CHECK(total(result, Metric::reference_read_bytes) + total(result, Metric::referenced_bytes) == 0.0);
    setup.threads = 3;
    CHECK(test::same_bits(result, fixture().run(setup)));
  }
}

TEST_CASE(
    "rows that are all stored whole come back up to the turn back and forth, and in the tail bit by bit") {
  Setup setup;
  setup.selects = false;
  setup.check = "every_step";
  const PointResult plain = fixture().run(setup);
  for (const bool together : {false, true}) {
    setup.heads_together = together;
    setup.joint_codec = together;
    setup.codec = "{type: delta, stride: 1, sinks: 0, tail: 0}";
    const PointResult turned = fixture().run(setup);
    CHECK(test::largest(turned, Metric::output_error) < 2e-3);
    CHECK(test::largest(turned, Metric::output_error) > 0.0);
    setup.codec = "{type: delta, stride: 1, sinks: 0, tail: 1000}";
    CHECK(test::same_bits(plain, fixture().run(setup), Metric::output_error));
  }
}

TEST_CASE("fewer directions and fewer atoms cost more of the output, in the order of what they keep") {
  Setup setup;
  setup.selects = false;
  double before = 1e-9;
  for (const int rank : {14, 6, 0}) {
    setup.codec = fmt::format("{{type: delta, rank: {}, tail: 0}}", rank);
    const double error = total(fixture().run(setup), Metric::output_error);
    CHECK(error > before);
    before = error;
  }
  before = 1e-9;
  for (const int nonzeros : {16, 6, 1}) {
    setup.codec = fmt::format("{{type: sparse_code, atoms: 32, nonzeros: {}}}", nonzeros);
    const double error = total(fixture().run(setup), Metric::output_error);
    CHECK(error > before);
    before = error;
  }
}

TEST_CASE(
    "a tail of entries with sizes by their place takes two bytes an element of DRAM, whatever comes of "
    "them") {
  constexpr std::int64_t kTail = 20;
  constexpr double kResidual = 2.0 * (2 + 2);  // K and V: a check sum and one direction
  Setup setup;
  setup.scorer = "position";
  setup.codec = fmt::format("{{type: delta, stride: 4, sinks: 0, tail: {}}}", kTail);
  setup.check = "every_step";
  const PointResult result = fixture().run(setup);
  // The chosen ten, the recent five and the current entry are all in the tail.
  CHECK(total(result, Metric::read_bytes) == 0.0);
  double appended = 0.0;
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CAPTURE(step);
    // Two sinks, of which the first is a reference, and the tail; what of it is recent counts as pinned.
    CHECK(result.data.at(Metric::pinned_bytes, step) + result.data.at(Metric::write_buffer_bytes, step) ==
          static_cast<double>(test::kHeads) *
              (test::kEntryBytes + kResidual + static_cast<double>(kTail * test::kEntryBytes)));
    appended += result.data.at(Metric::appended_bytes, step, 1);
  }
  // Of forty entries that leave the tail of two heads ten are references.
  CHECK(appended == 2.0 * (10.0 * test::kEntryBytes + 30.0 * kResidual));
}

}  // namespace
}  // namespace kvr

// A codec whose blobs are of several lengths under all that moves entries: what must hold, what it must not
// change, and what it is refused beside.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/runs_sizes.hpp"
#include "tests/engine/stages.hpp"

namespace kvr {
namespace {

using test::from_to;
using test::kGuess;
using test::kTwoMemories;
using test::kUnits;
using test::kWindow;
using test::runs;
using test::RunsSizes;
using test::Setup;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

constexpr std::int64_t kPrompt = 65;

std::vector<Setup> varied_setups() {
  std::vector<Setup> setups;
  const std::vector<std::string> clusterings = {
      "token", "{type: page, page_tokens: 8}", "{type: page, page_tokens: 8, buffered: true}",
      "{type: kmeans, entries_per_cluster: 7, refit_every: 9}",
      "{type: adaptive, entries_per_cluster: 7, buffer_entries: 3}"};
  const std::vector<std::string> layouts = {"token_order",
                                            "{type: token_order, interleave_heads: true, page_buffer: 4KiB}",
                                            "{type: token_order, chunk_tokens: 8, page_buffer: 512B}"};
  const std::vector<std::string> replacements = {"none", "lru", "cluster_aligned", "fifo"};
  const std::vector<std::string> before = {"", kWindow, kUnits, kGuess};
  const std::vector<std::string> tiers = {
      "[]", kTwoMemories,
      "[{name: dram}, {name: middle, capacity: 8KiB, bandwidth: 10GB/s, latency: 1us, copies: exclusive}, "
      "{name: flash}]",
      "[{name: hbm}, {name: middle, capacity: 6KiB, bandwidth: 10GB/s, latency: 1us}, {name: dram, "
      "bandwidth: 1GB/s, latency: 1us}]"};
  for (std::size_t i = 0; i < clusterings.size() * tiers.size(); ++i) {
    Setup setup;
    setup.clustering = clusterings[i % clusterings.size()];
    setup.tiers = tiers[i / clusterings.size()];
    setup.layout = layouts[i % layouts.size()];
    setup.replacement = replacements[(i + i / 4) % replacements.size()];
    setup.stages_before = before[i % before.size()];
    setup.schedule = setup.stages_before == kGuess && i < clusterings.size() ? "look_ahead" : "serial";
    setup.heads_together = i % 4 == 2;
    setup.joint_codec = i % 3 == 1;
    setup.cache_scope = i % 2 == 0 ? "model" : "head";
    setup.cache_bytes = 70 * test::kLargestRuns;
    setup.check = "every_step";
    setups.push_back(setup);
  }
  return setups;
}

TEST_CASE("sizes hold in every step, on any number of threads, under all that moves entries") {
  for (Setup setup : varied_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.tiers);
    CAPTURE(setup.stages_before);
    for (const std::int64_t stride : {0, 5}) {
      CAPTURE(stride);
      setup.codec = runs(fmt::format("stride: {}", stride));
      setup.threads = 1;
      const PointResult result = fixture().run(setup);
      CHECK(total(result, Metric::attended_entries) > 0.0);
      setup.threads = 3;
      CHECK(test::same_bits(result, fixture().run(setup)));
    }
  }
}

TEST_CASE("sequences that read in, fork and end keep the sizes of their own entries") {
  for (const char* const workload :
       {"{prefill: charged, turns: [{decode: 6}, {prefill: 11}, {decode: 9}]}",
        "{sequences: [{}, {}, {}], turns: [{prefill: 7, sequences: 0}, {fork: 0, sequences: 1}, {prefill: 3, "
        "sequences: 1}, {fork: 1, sequences: '2'}, {decode: 9}, {drop: true, sequences: '0..1'}, {decode: "
        "4}]}"}) {
    for (const char* const tiers : {"[]", kTwoMemories}) {
      CAPTURE(workload);
      CAPTURE(tiers);
      Setup setup;
      setup.workload = workload;
      setup.tiers = tiers;
      setup.replacement = "lru";
      setup.cache_bytes = 60 * test::kLargestRuns;
      setup.check = "every_step";
      setup.codec = runs("stride: 6");
      setup.threads = 1;
      const PointResult one = fixture().run(setup);
      setup.threads = 3;
      CHECK(test::same_bits(one, fixture().run(setup)));
    }
  }
}

TEST_CASE("under a budget of DRAM all of it, the index included, stays in it") {
  for (const char* const tiers : {"[]", kTwoMemories}) {
    CAPTURE(tiers);
    Setup setup;
    setup.codec = runs();
    setup.tiers = tiers;
    setup.replacement = "lru";
    setup.dram_bytes = 24000;
    setup.check = "every_step";
    const PointResult result = fixture().run(setup);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      double bytes = 0.0;
      for (const Metric metric :
           {Metric::cache_bytes, Metric::working_buffer_bytes, Metric::write_buffer_bytes,
            Metric::pinned_bytes, Metric::representative_bytes, Metric::metadata_bytes}) {
        bytes += result.data.at(metric, step);
      }
      CHECK(bytes <= 24000.0);
      CHECK(result.data.at(Metric::cache_bytes, step) > 0.0);
    }
  }
}

TEST_CASE("layer by layer, what is swapped in place has its own sizes") {
  Setup setup = Setup().layer_by_layer();
  setup.scorer = "centroid";
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.replacement = "lru";
  setup.cache_scope = "layer";
  setup.cache_bytes = 60 * test::kLargestRuns;
  setup.swap = "in_place";
  setup.check = "every_step";
  setup.codec = runs();
  const PointResult varied = fixture().run(setup);
  setup.codec = runs("pad: true");
  CHECK(total(varied, Metric::cache_bytes) < total(fixture().run(setup), Metric::cache_bytes));
}

TEST_CASE("blobs that might vary and do not change no bit, but for the index of what is on flash") {
  for (Setup setup : varied_setups()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.tiers);
    CAPTURE(setup.stages_before);
    const bool flash = setup.tiers == "[]" || setup.tiers.find("flash") != std::string::npos;
    const bool removes = setup.stages_before == kWindow || setup.stages_before == kUnits;
    if (flash && removes) {
      continue;  // a log has places of its own for what comes after a removal
    }
    setup.layout = "{type: token_order, interleave_heads: true}";  // a log of tokens is in that order
    if (flash) {
      setup.clustering = "{type: page, page_tokens: 8}";  // of which nothing is pending
    }
    setup.codec = runs("pad: true");
    const PointResult might = fixture().run(setup);
    setup.codec = runs("pad: true, varies: false");
    const PointResult never = fixture().run(setup);
    if (!flash) {
      CHECK(test::same_bits(might, never));
    }
    for (const MetricInfo& metric : metric_table()) {
      CAPTURE(metric.name);
      CHECK((metric.origin == Origin::host || metric.id == Metric::metadata_bytes ||
             test::same_bits(might, never, metric.id)));
    }
  }
}

TEST_CASE("a model with other heads than the trace has sizes in proportion") {
  const RunsSizes sizes(fixture(), 0);
  Setup setup;
  setup.scorer = "position";
  setup.codec = runs();
  setup.check = "every_step";
  setup.model = "{type: decoder, head_dim: 40}";
  const PointResult result = fixture().run(setup);
  constexpr std::int64_t kWider = 2 * (10 + 80 + 10);
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    std::int64_t bytes = 0;
    for (const std::int64_t entry : from_to(kPrompt + step - 15, kPrompt + step - 5)) {
      bytes += (sizes.of(1, 0, entry) * kWider + test::kLargestRuns - 1) / test::kLargestRuns;
    }
    CHECK(result.data.at(Metric::demanded_bytes, step, 1, 0) == static_cast<double>(bytes));
  }
}

TEST_CASE("what takes entries to be of one size is refused, at its place and before anything is replayed") {
  Setup setup;
  setup.codec = runs();
  for (const char* const layout : {"cluster_contiguous", "cluster_by_cluster", "dual_head"}) {
    setup.layout = layout;
    const trace::Reader reader(fixture().trace_path());
    const trace::Reader* const traces[] = {&reader};
    CHECK_THROWS_AS(check_point(fixture().config(setup), traces), InputError);
    CHECK(
        fixture().error_of(setup) ==
        fmt::format("config.yaml:12:3: system.layout: '{}' gives each entry a slot of one size, but codecs "
                    "(config.yaml:11:3: system.codec) store entries in several sizes; allowed: token_order, "
                    "or codecs of one size",
                    layout));
    setup.codec = runs("varies: false, pad: true");
    CHECK(total(fixture().run(setup), Metric::attended_entries) > 0.0);
    setup.codec = runs();
    setup.tiers = kTwoMemories;  // where nothing is laid out
    CHECK(total(fixture().run(setup), Metric::attended_entries) > 0.0);
    setup.tiers = "[]";
  }
  setup.layout = "token_order";
  setup.codec = runs("tail: 7");
  CHECK(fixture().error_of(setup).find("system.codec: the newest 7 entries stay as captured, but codecs (") !=
        std::string::npos);
  setup = setup.layer_by_layer();
  setup.scorer = "centroid";
  setup.replacement = "lru";
  setup.cache_scope = "layer";
  setup.cache_bytes = 60 * test::kLargestRuns;
  setup.codec = runs();
  CHECK(fixture().error_of(setup).find("system.cache.swap: area gives each cached entry a slot of one size, "
                                       "but codecs (config.yaml:11:3: system.codec) store entries in several "
                                       "sizes; allowed: in_place, or codecs of one size") !=
        std::string::npos);
}

/// The fault of a run, or nothing.
std::string fault_of(const Setup& setup) {
  try {
    fixture().run(setup);
  } catch (const PolicyFault& fault) {
    return fault.what();
  }
  return "";
}

TEST_CASE(
    "a blob that is longer than a row may be, or empty, is the codec's fault, by name, place and step") {
  Setup setup;
  for (const auto& [name, bytes] : {std::pair("long", 47), std::pair("empty", 0)}) {
    setup.codec = runs(fmt::format("fault: {}", name));
    const std::string found = fault_of(setup);
    CAPTURE(found);
    CHECK(found.starts_with("codec 'test_runs': layer 0, head 0, entry 81: "));
    CHECK(found.ends_with(fmt::format("it is stored in {} bytes, a row has 1 to 46 (step 16)", bytes)));
  }
}

}  // namespace
}  // namespace kvr

// What is recorded of units: a step worked out by hand, and that recording changes nothing.
//
// 12 tokens of prompt in pages of 4, of which whichever is latest is ranked first; sinks 1, recent 2, budget
// 5, records of 32 bytes in the order of their tokens. Step 0, at position 12, chooses of entries 1..9:
//   page 2: 8 9, page 1: 4 5 6, cut; both come from flash
// Step 1, at position 13, chooses of 1..10:
//   page 2: 8 9 and 10, which alone is not cached yet; page 1: 4 5
#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/recording/units/unit_recorder.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/splitting_clustering.hpp"

namespace kvr {
namespace {

using test::Setup;

trace::SynthOptions twelve_tokens() {
  trace::SynthOptions options;
  options.kv_heads = 1;
  options.group = 1;
  options.head_dim = 8;
  options.prompt = 12;
  options.steps = 2;
  options.prompt_window = 1;
  options.clusters = 2;
  options.sinks = 1;
  options.recent_tokens = 4;
  options.seed = 3;
  return options;
}

const test::ReplayFixture& twelve() {
  static const test::ReplayFixture made(twelve_tokens());
  return made;
}

const test::ReplayFixture& small() {
  static const test::ReplayFixture made;
  return made;
}

Setup latest_pages() {
  Setup setup;
  setup.clustering = "{type: page, page_tokens: 4}";
  setup.scorer = "position";
  setup.replacement = "lru";
  setup.cache_bytes = 1024;
  setup.sinks = 1;
  setup.recent = 2;
  setup.record = "{units: 0..1}";
  return setup.with_budget(5);
}

struct Unit {
  UnitRow row;
  std::vector<std::int32_t> positions;
  std::vector<std::int32_t> tiers;
  std::vector<UnitExtent> extents;
};

std::vector<Unit> units_of(const PointResult& result, std::int32_t step, UnitRole role) {
  const RecordedUnits& record = *result.data.units();
  auto entry = record.entries.begin();
  auto extent = record.extents.begin();
  std::vector<Unit> units;
  for (const UnitRow& row : record.choices) {
    Unit unit{row, {}, {}, {extent, extent + row.extent_count}};
    std::transform(entry, entry + row.entry_count, std::back_inserter(unit.positions),
                   [](const UnitEntry& one) { return one.position; });
    std::transform(entry, entry + row.entry_count, std::back_inserter(unit.tiers),
                   [](const UnitEntry& one) { return one.tier; });
    entry += row.entry_count;
    extent += row.extent_count;
    if (row.step == step && row.is(role)) {
      units.push_back(std::move(unit));
    }
  }
  CHECK(entry == record.entries.end());
  CHECK(extent == record.extents.end());
  return units;
}

using Positions = std::vector<std::int32_t>;
using Extents = std::vector<UnitExtent>;

TEST_CASE("a step in which everything is read: units by rank, entries, extents") {
  const PointResult result = twelve().run(latest_pages());
  const std::vector<Unit> chosen = units_of(result, 0, UnitRole::chosen);
  REQUIRE(chosen.size() == 2);
  CHECK(chosen[0].row.unit == 2);
  CHECK(chosen[0].row.rank == 1);
  CHECK(chosen[0].row.score == 11.0F);
  CHECK(chosen[0].positions == Positions{8, 9});
  CHECK(chosen[0].tiers == Positions{1, 1});
  CHECK(chosen[0].row.in_first_tier == 0);
  CHECK(chosen[0].extents == Extents{{256, 64}});
  CHECK(chosen[1].row.unit == 1);
  CHECK(chosen[1].row.rank == 2);
  CHECK(chosen[1].row.score == 7.0F);
  CHECK(chosen[1].positions == Positions{4, 5, 6});
  CHECK(chosen[1].extents == Extents{{128, 96}});
  const std::vector<Unit> pinned = units_of(result, 0, UnitRole::pinned);
  REQUIRE(pinned.size() == 1);
  CHECK(pinned[0].positions == Positions{0, 10, 11, 12});
  CHECK(pinned[0].row.unit == -1);
  CHECK(result.data.units()->stages == std::vector<std::string>{"select"});
  CHECK(result.data.units()->tiers == std::vector<std::string>{"dram", "flash"});
  const std::vector<ReadRequest> requests{{0, 0, 2, 0, 4096}, {1, 0, 2, 0, 4096}};
  CHECK(result.data.units()->requests == requests);
}

TEST_CASE("a step that finds most of it cached: a unit that hits, one that lacks an entry") {
  const PointResult result = twelve().run(latest_pages());
  const std::vector<Unit> chosen = units_of(result, 1, UnitRole::chosen);
  REQUIRE(chosen.size() == 2);
  CHECK(chosen[0].row.unit == 2);
  CHECK(chosen[0].positions == Positions{8, 9, 10});
  CHECK(chosen[0].tiers == Positions{0, 0, 1});
  CHECK(chosen[0].row.in_first_tier == 2);
  CHECK(chosen[0].extents == Extents{{320, 32}});
  CHECK(chosen[1].positions == Positions{4, 5});
  CHECK(chosen[1].row.in_first_tier == 2);
  CHECK(chosen[1].extents.empty());
}

TEST_CASE("missed is what recall counts, for each query head") {
  Setup setup;
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.scorer = "centroid";
  setup.record = "{units: 0..39}";
  for (const char* fold : {"mean", "none"}) {
    setup.fold = fold;
    const PointResult result = small().run(setup);
    for (std::int32_t step = 0; step < 40; ++step) {
      std::vector<std::int64_t> missed(4, 0);
      for (const Unit& unit : units_of(result, step, UnitRole::missed)) {
        missed[static_cast<std::size_t>(2 * unit.row.layer + unit.row.kv_head)] += unit.row.entry_count;
      }
      for (std::int64_t head = 0; head < 4; ++head) {
        const double share = static_cast<double>(missed[static_cast<std::size_t>(head)]) / 20.0;
        CHECK(result.data.at(Metric::recall, step, head / 2, head % 2) == doctest::Approx(1.0 - share));
      }
    }
  }
}

/// Systems in which reads come about in every way there is.
std::vector<Setup> many_ways() {
  std::vector<Setup> setups(6);
  setups[0].clustering = test::kSplitting;  // loads for updates, splits
  setups[0].layout = "dual_head";
  setups[0].scorer = "centroid";
  setups[0].replacement = "cluster_aligned";
  setups[0].cache_bytes = 60 * test::kEntryBytes;
  setups[1].heads_together = true;
  setups[1].clustering = "{type: page, page_tokens: 4}";
  setups[1].scorer = "centroid";
  setups[2].stages_before =
      "{name: guess, effect: prefetch, layers: 1.., scorer: exact, queries: last_step, budget: {type: fixed, "
      "entries: 12}}";
  setups[2].replacement = "fifo";
  setups[2].cache_bytes = 30 * test::kEntryBytes;
  setups[3].tiers =
      "[{name: hbm}, {name: dram, bandwidth: 25GB/s, latency: 10us, capacity: 1KiB, copies: exclusive}, "
      "{name: "
      "flash}]";
  setups[3].replacement = "lru";
  setups[3].cache_bytes = 20 * test::kEntryBytes;
  setups[4].stages_before =
      "{effect: evict, when: step, units: token, scorer: position, budget: {type: fixed, entries: 40}}";
  setups[5].selects = false;
  setups[5].layout = "token_order";
  for (Setup& setup : setups) {
    setup.record = "{units: {steps: 3.., layers: all}}";
    setup.steps = 12;
    setup.check = "every_step";
  }
  return setups;
}

double sum_of_requests(const RecordedUnits& record, std::int32_t step, std::int32_t layer) {
  double bytes = 0.0;
  for (const ReadRequest& request : record.requests) {
    bytes += request.step == step && request.layer == layer ? static_cast<double>(request.length_bytes) : 0.0;
  }
  return bytes;
}

TEST_CASE("recording changes no metric, requests are all that is read, hits are those that are counted") {
  for (const Setup& setup : many_ways()) {
    CAPTURE(setup.describe());
    CAPTURE(setup.stages_before);
    const PointResult result = small().run(setup);
    Setup plain = setup;
    plain.record = "{}";
    const PointResult without = small().run(plain);
    CHECK(test::same_bits(result, without));
    CHECK(without.data.units() == nullptr);
    const PointData& data = result.data;
    for (std::int32_t step = 3; step < 12; ++step) {
      for (std::int32_t layer = 0; layer < 2; ++layer) {
        CHECK(sum_of_requests(*data.units(), step, layer) == data.at(Metric::read_bytes, step, layer));
        for (std::int32_t head = 0; head < 2; ++head) {
          double units = 0.0;
          double hits = 0.0;
          for (const UnitRole role : {UnitRole::chosen, UnitRole::demanded}) {
            for (const Unit& unit : units_of(result, step, role)) {
              const bool here = unit.row.layer == layer && (unit.row.kv_head == head || unit.row.kv_head < 0);
              units += here && unit.row.in_first_tier >= 0 ? 1.0 : 0.0;
              hits += here && unit.row.in_first_tier == unit.row.entry_count ? 1.0 : 0.0;
            }
          }
          CHECK(units == data.at(Metric::demanded_units, step, layer, head));
          CHECK(hits == data.at(Metric::hit_units, step, layer, head));
        }
      }
    }
  }
}

using Blocks = std::set<std::int64_t>;

void add_blocks(std::int64_t offset_bytes, std::int64_t length_bytes, Blocks& blocks) {
  for (std::int64_t block = offset_bytes / 4096; block * 4096 < offset_bytes + length_bytes; ++block) {
    blocks.insert(block);
  }
}

Blocks blocks_of(const PointResult& result, std::int32_t step, std::int32_t layer,
                 std::vector<UnitRole> roles) {
  Blocks blocks;
  for (const UnitRole role : roles) {
    for (const Unit& unit : units_of(result, step, role)) {
      for (const UnitExtent& extent : unit.extents) {
        if (unit.row.layer == layer) {
          add_blocks(extent.offset_bytes, extent.length_bytes, blocks);
        }
      }
    }
  }
  return blocks;
}

Blocks requested(const PointResult& result, std::int32_t step, std::int32_t layer, Use use) {
  Blocks blocks;
  for (const ReadRequest& request : result.data.units()->requests) {
    if (request.step == step && request.layer == layer && request.use == static_cast<std::int32_t>(use)) {
      add_blocks(request.offset_bytes, request.length_bytes, blocks);
    }
  }
  return blocks;
}

TEST_CASE("extents of units, widened to blocks, are what is requested for them") {
  std::size_t ahead = 0;
  std::size_t loaded = 0;
  for (const Setup& setup : many_ways()) {
    CAPTURE(setup.describe());
    const PointResult result = small().run(setup);
    for (std::int32_t step = 3; step < 12; ++step) {
      for (std::int32_t layer = 0; layer < 2; ++layer) {
        CHECK(blocks_of(result, step, layer, {UnitRole::chosen, UnitRole::demanded}) ==
              requested(result, step, layer, Use::demand));
        const Blocks guessed = blocks_of(result, step, layer, {UnitRole::prefetched});
        CHECK(guessed == requested(result, step, layer, Use::prefetch));
        const Blocks loads = blocks_of(result, step, layer, {UnitRole::loaded});
        CHECK(std::ranges::includes(requested(result, step, layer, Use::update), loads));
        ahead += guessed.size();
        loaded += loads.size();
      }
    }
  }
  CHECK(ahead > 0);
  CHECK(loaded > 0);
}

TEST_CASE("the record has the same bits with any threads, and side by side") {
  std::vector<Setup> setups = many_ways();
  const std::vector<PointResult> together = small().run_together(setups);
  for (std::size_t i = 0; i < setups.size(); ++i) {
    CAPTURE(setups[i].describe());
    setups[i].threads = 3;
    CHECK(*together[i].data.units() == *small().run(setups[i]).data.units());
  }
}

TEST_CASE("a window that cannot be is refused") {
  Setup setup;
  setup.record = "{units: {steps: 0..40, layers: 2.., heads: [0, 5]}}";
  CHECK(small().error_of(setup) ==
        "config.yaml:18:18: record.units.steps: there is no step 40; allowed: 0..39\n"
        "config.yaml:18:32: record.units.layers: layer 2.. was not captured; allowed: 0, 1\n"
        "config.yaml:18:45: record.units.heads: KV head 5 was not captured; allowed: 0, 1");
}

TEST_CASE("a window of more than can be kept is refused before anything is replayed") {
  Setup setup;
  setup.record = "{units: 0..}";
  const RunConfig config = small().config(setup);
  const trace::Reader reader(small().trace_path());
  const std::vector<const trace::Reader*> traces{&reader};
  const BatchWalk walk(config, traces);
  CHECK_NOTHROW(check_unit_window(config, walk));
  CHECK_NOTHROW(check_unit_window(config, walk, 160 * 105));
  CHECK_THROWS_WITH_AS(
      check_unit_window(config, walk, 160 * 105 - 1),
      doctest::Contains("record.units: 160 choices (steps x layers x heads x sequences) of up "
                        "to 105 entries are more than can be kept"),
      InputError);
}

}  // namespace
}  // namespace kvr

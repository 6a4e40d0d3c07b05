// A codec whose blobs are of several lengths: all bytes against a plain recount of the trace's rows, on flash
// and in tiers of memory.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tests/engine/memory/tiers/tier_reference.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/runs_sizes.hpp"
#include "tests/engine/stages.hpp"

namespace kvr {
namespace {

using test::from_to;
using test::kTwoMemories;
using test::kWindow;
using test::runs;
using test::RunsSizes;
using test::Setup;
using test::TierSpec;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

constexpr std::int64_t kPrompt = 65;
constexpr std::int64_t kRows = 105;

/// What is pinned at position p: two sinks, the recent five, the current entry.
std::vector<std::int64_t> pinned_at(std::int64_t p) {
  std::vector<std::int64_t> entries = from_to(p - 5, p + 1);
  entries.insert(entries.end(), {0, 1});
  return entries;
}

TEST_CASE("entries of the test codec are of many sizes") {
  const RunsSizes sizes(fixture(), 0);
  std::set<std::int64_t> found;
  for (const std::int64_t entry : from_to(0, kRows)) {
    found.insert(sizes.of(1, 1, entry));
  }
  CHECK(found.size() > 15);
  CHECK(*found.begin() == 8);  // the row that others are told from
  CHECK(*found.rbegin() <= test::kLargestRuns);
}

/// One layer's log: the prompt's records head by head, then each step's.
struct PlainLog {
  PlainLog(const RunsSizes& sizes, std::int64_t layer) : sizes_(sizes), layer_(layer) {
    for (const std::int64_t head : {0, 1}) {
      for (const std::int64_t entry : from_to(0, kPrompt)) {
        append(head, entry);
      }
    }
  }

  void append(std::int64_t head, std::int64_t entry) {
    places[{head, entry}] = end;
    end += sizes_.of(layer_, head, entry);
  }

  /// Of the blocks that `objects` lie in.
  double block_bytes(std::span<const CacheObject> objects) const {
    std::set<std::int64_t> blocks;
    for (const CacheObject& object : objects) {
      const std::int64_t begin = places.at({object.head, object.unit});
      for (std::int64_t block = begin / 4096; block <= (begin + sizes_.of(object) - 1) / 4096; ++block) {
        blocks.insert(block);
      }
    }
    return 4096.0 * static_cast<double>(blocks.size());
  }

  /// How many of `objects` lie side by side in each run.
  std::vector<double> runs_of(std::span<const CacheObject> objects) const {
    std::map<std::int64_t, std::int64_t> by_place;
    for (const CacheObject& object : objects) {
      const std::int64_t begin = places.at({object.head, object.unit});
      by_place[begin] = begin + sizes_.of(object);
    }
    std::vector<double> lengths;
    std::int64_t last_end = -1;
    for (const auto& [begin, record_end] : by_place) {
      if (begin != last_end) {
        lengths.push_back(0.0);
      }
      lengths.back() += 1.0;
      last_end = record_end;
    }
    return lengths;
  }

  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> places;  ///< by head and entry
  std::int64_t end = 0;

 private:
  const RunsSizes& sizes_;
  std::int64_t layer_;
};

template <class Keep>
std::vector<CacheObject> only(std::span<const CacheObject> objects, Keep keep) {
  std::vector<CacheObject> kept;
  std::ranges::copy_if(objects, std::back_inserter(kept), keep);
  return kept;
}

double total_of(const RunsSizes& sizes, std::span<const CacheObject> objects) {
  std::int64_t bytes = 0;
  for (const CacheObject& object : objects) {
    bytes += sizes.of(object);
  }
  return static_cast<double>(bytes);
}

/// An LRU cache above what `tiers` says, in the order that the sizes make of it.
struct Recount {
  std::string tiers;
  std::vector<TierSpec> between;
  std::int64_t first_bytes;

  bool on_flash() const { return tiers != kTwoMemories; }
  Setup setup() const {
    Setup setup;
    setup.codec = runs();
    setup.tiers = tiers;
    setup.replacement = "lru";
    setup.cache_bytes = first_bytes;
    setup.check = "every_step";
    return setup;
  }
};

std::vector<Recount> recounts() {
  const auto middle = [](std::int64_t bytes, bool exclusive) {
    return fmt::format("{{name: m{}, bandwidth: 4GB/s, latency: 3us, capacity: {}B, copies: {}}}", bytes,
                       bytes, exclusive ? "exclusive" : "inclusive");
  };
  const auto over_flash = [](const std::string& between) {
    return fmt::format("[{{name: hbm}}, {}, {{name: flash}}]", between);
  };
  return {
      {"[]", {}, 2000},
      {"[]", {}, 3500},
      {kTwoMemories, {}, 2500},
      {over_flash(middle(3001, true)), {{3001, true}}, 2000},
      {over_flash(middle(4507, false)), {{4507, false}}, 2000},
      {over_flash(middle(2001, true) + ", " + middle(3003, true)), {{2001, true}, {3003, true}}, 1500},
  };
}

void check_heads(const Recount& recount, const RunsSizes& sizes, std::span<const CacheObject> touched,
                 const test::StepCounts& counts, const PointResult& result, std::int64_t step) {
  for (std::int64_t index = 0; index < test::kHeads; ++index) {
    const std::int64_t layer = index / 2;
    const std::int64_t head = index % 2;
    const auto own = [&](const CacheObject& object) { return object.layer == layer && object.head == head; };
    const double demanded = total_of(sizes, only(touched, own));
    const double missed = total_of(sizes, only(counts.missed_objects, own));
    const double last = total_of(sizes, only(counts.last_objects, own));
    CHECK(result.data.at(Metric::demanded_bytes, step, layer, head) == demanded);
    CHECK(result.data.at(Metric::hit_bytes, step, layer, head) == demanded - missed);
    CHECK(result.data.at(Metric::useful_read_bytes, step, layer, head) == (recount.on_flash() ? last : 0.0));
  }
}

void check_layer_on_flash(const RunsSizes& sizes, PlainLog& log, const test::StepCounts& counts,
                          const PointResult& result, std::int64_t step, std::int64_t layer) {
  const std::int64_t p = kPrompt + step;
  const auto read = only(counts.last_objects, [&](const CacheObject& one) { return one.layer == layer; });
  CHECK(result.data.at(Metric::read_bytes, step, layer) == log.block_bytes(read));
  if (const std::vector<double> lengths = log.runs_of(read); !lengths.empty()) {
    CHECK(result.data.at(Metric::contiguous_max_entries, step, layer) == std::ranges::max(lengths));
    CHECK(result.data.at(Metric::contiguous_mean_entries, step, layer) ==
          static_cast<double>(read.size()) / static_cast<double>(lengths.size()));
  }
  const std::int64_t before = log.end;
  log.append(0, p);
  log.append(1, p);
  CHECK(result.data.at(Metric::appended_bytes, step, layer) == static_cast<double>(log.end - before));
  CHECK(log.end - before == sizes.of(layer, 0, p) + sizes.of(layer, 1, p));
}

TEST_CASE("hit, read, appended, held and pinned bytes are those of a plain recount, whatever the tiers") {
  const RunsSizes sizes(fixture(), 0);
  Setup endless;
  endless.replacement = "lru";
  endless.cache_bytes = 1000;
  const auto touched = test::demands(fixture(), endless);
  for (const Recount& recount : recounts()) {
    CAPTURE(recount.tiers);
    const PointResult result = fixture().run(recount.setup());
    Setup plain_setup = recount.setup();
    plain_setup.codec = "fp16";
    const PointResult plain = fixture().run(plain_setup);
    test::TierReference reference(recount.first_bytes, recount.between,
                                  [&](CacheObject token) { return sizes.of(token); });
    PlainLog logs[] = {{sizes, 0}, {sizes, 1}};
    std::int64_t evicted = 0;
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      CAPTURE(step);
      const std::int64_t p = kPrompt + step;
      const std::vector<CacheObject>& now = touched[static_cast<std::size_t>(step)];
      const test::StepCounts counts = reference.step(now);
      evicted += counts.missed;
      check_heads(recount, sizes, now, counts, result, step);
      CHECK(result.data.at(Metric::cache_bytes, step) == static_cast<double>(reference.held()));
      CHECK(result.data.at(Metric::pinned_bytes, step) == sizes.of_all(pinned_at(p)));
      double most_read = 0.0;
      for (const std::int64_t layer : {0, 1}) {
        const auto own = [&](const CacheObject& one) { return one.layer == layer; };
        most_read = std::max(most_read, total_of(sizes, only(counts.missed_objects, own)));
      }
      CHECK(result.data.at(Metric::working_buffer_bytes, step) == most_read);
      const std::int64_t links = std::ssize(result.data.tier_names());
      for (std::int64_t tier = 0; tier < links && recount.on_flash(); ++tier) {
        const test::TierCounts& expected = counts.tiers[static_cast<std::size_t>(tier)];
        const auto at = [&](Metric metric) { return result.data.at_tier(metric, step, tier); };
        CHECK(at(Metric::tier_asked_bytes) == static_cast<double>(expected.asked));
        CHECK(at(Metric::tier_hit_bytes) == static_cast<double>(expected.read));
        CHECK(at(Metric::tier_up_bytes) == static_cast<double>(expected.read + counts.from_last));
        CHECK(at(Metric::tier_down_bytes) == static_cast<double>(expected.demoted));
        CHECK(at(Metric::tier_held_bytes) == static_cast<double>(expected.held));
      }
      const double index = static_cast<double>(8 * test::kHeads * (p + 1));
      CHECK(result.data.at(Metric::metadata_bytes, step) - plain.data.at(Metric::metadata_bytes, step) ==
            (recount.on_flash() ? index : 0.0));
      if (recount.on_flash()) {
        check_layer_on_flash(sizes, logs[0], counts, result, step, 0);
        check_layer_on_flash(sizes, logs[1], counts, result, step, 1);
        CHECK(result.data.at(Metric::flash_space_bytes, step) ==
              static_cast<double>(logs[0].end + logs[1].end));
      } else {
        const auto at = [&](Metric metric) { return result.data.at_tier(metric, step, 0); };
        CHECK(at(Metric::tier_asked_bytes) == static_cast<double>(counts.missed));
        CHECK(at(Metric::tier_hit_bytes) == static_cast<double>(counts.missed));
        CHECK(at(Metric::tier_up_bytes) == static_cast<double>(counts.missed));
        CHECK(at(Metric::tier_down_bytes) == sizes.of_all(from_to(p, p + 1)));
      }
    }
    CHECK(evicted > recount.first_bytes);
    for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error}) {
      CHECK(test::same_bits(result, plain, metric));
    }
  }
}

TEST_CASE("a link takes what its bytes take, and attention reads what its entries have") {
  const RunsSizes sizes(fixture(), 0);
  Setup setup;
  setup.codec = runs();
  setup.tiers = kTwoMemories;
  setup.scorer = "position";
  const PointResult varied = fixture().run(setup);
  setup.codec = runs("pad: true");
  const PointResult padded = fixture().run(setup);
  for (std::int64_t step = 0; step < varied.data.steps(); ++step) {
    const std::int64_t p = kPrompt + step;
    const auto chosen = from_to(p - 15, p - 5);
    double link_s = 0.0;
    for (const std::int64_t layer : {0, 1}) {
      const double up = sizes.sum(layer, 0, chosen) + sizes.sum(layer, 1, chosen);
      const auto down = static_cast<double>(sizes.of(layer, 0, p) + sizes.of(layer, 1, p));
      link_s += 2e-6 + (up + down) / 1e10;
    }
    CHECK(varied.data.at(Metric::link_s, step) == doctest::Approx(link_s));
    CHECK(varied.data.at(Metric::dram_energy_j, step) < padded.data.at(Metric::dram_energy_j, step));
    CHECK(varied.data.at(Metric::compute_s, step) <= padded.data.at(Metric::compute_s, step));
  }
}

/// The entry that another refers to, of those live when it was stored; -1: none.
std::int64_t referred(std::int64_t entry, std::int64_t stride) {
  const std::int64_t whole = entry / stride * stride;
  return whole == entry ? -1 : whole;
}

TEST_CASE("what is read along has bytes of its own") {
  for (const std::int64_t stride : {3, 16, 40}) {
    CAPTURE(stride);
    const RunsSizes sizes(fixture(), stride);
    Setup setup;
    setup.scorer = "position";
    setup.codec = runs(fmt::format("stride: {}", stride));
    setup.check = "every_step";
    const PointResult result = fixture().run(setup);
    for (std::int64_t step = 0; step < result.data.steps(); ++step) {
      CAPTURE(step);
      const std::int64_t p = kPrompt + step;
      std::set<std::int64_t> along;
      for (const std::int64_t entry : from_to(p - 15, p - 5)) {
        if (const std::int64_t to = referred(entry, stride); to >= 2 && to < p - 15) {
          along.insert(to);
        }
      }
      for (const std::int64_t head : {0, 1}) {
        CHECK(result.data.at(Metric::reference_read_bytes, step, 1, head) == sizes.sum(1, head, along));
        CHECK(result.data.at(Metric::useful_read_bytes, step, 1, head) ==
              sizes.sum(1, head, from_to(p - 15, p - 5)));
      }
    }
  }
}

TEST_CASE("what is evicted frees its bytes, in DRAM and on flash") {
  const RunsSizes sizes(fixture(), 0);
  Setup setup;
  setup.selects = false;
  setup.stages_before = kWindow;
  setup.codec = runs();
  setup.check = "every_step";
  setup.tiers = "[{name: dram}]";
  const PointResult in_dram = fixture().run(setup);
  setup.tiers = "[]";
  setup.layout = "{type: token_order, page_buffer: 512B}";
  const PointResult paged = fixture().run(setup);
  setup.codec = "fp16";
  const PointResult plain = fixture().run(setup);
  for (std::int64_t step = 0; step < in_dram.data.steps(); ++step) {
    CAPTURE(step);
    const std::int64_t p = kPrompt + step;
    std::vector<std::int64_t> live = from_to(p - 29, p + 1);
    live.insert(live.end(), {0, 1});
    CHECK(in_dram.data.at(Metric::cache_bytes, step) + in_dram.data.at(Metric::pinned_bytes, step) ==
          sizes.of_all(live));
    CHECK(paged.data.at(Metric::metadata_bytes, step) - plain.data.at(Metric::metadata_bytes, step) ==
          static_cast<double>(8 * test::kHeads) * static_cast<double>(live.size()));
  }
  const double ever = sizes.of_all(from_to(kPrompt - 30, kRows)) + sizes.of_all(from_to(0, 2));
  CHECK(test::largest(paged, Metric::flash_space_bytes) < 0.75 * ever);
}

}  // namespace
}  // namespace kvr

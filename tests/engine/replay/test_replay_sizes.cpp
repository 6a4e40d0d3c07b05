// A codec whose blobs are of several lengths: all bytes against a plain recount of the trace's rows, on flash
// and in tiers of memory; what it must not change; and what it is refused beside.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "sim/base/error.hpp"
#include "tests/engine/memory/tiers/tier_reference.hpp"
#include "tests/engine/replay_fixture.hpp"
#include "tests/engine/runs_codec.hpp"

namespace kvr {
namespace {

using test::Setup;
using test::TierSpec;
using test::total;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

constexpr std::int64_t kPrompt = 65;
constexpr std::int64_t kRows = 105;
constexpr std::int64_t kDim = 16;
constexpr std::int64_t kLargest = 2 * (4 + 32 + 10);  ///< K and V of an entry

constexpr const char* kWindow =
    "{when: [prefill_end, step], effect: evict, units: token, scorer: position, budget: {type: fixed, "
    "entries: 0}, pins: {sinks: 2, recent: 30}}";
constexpr const char* kUnits =
    "{when: [prefill_end, step], every: 3, effect: evict, scorer: exact, budget: {type: fraction, share: "
    "0.5}, pins: {sinks: 1, recent: 4}}";
constexpr const char* kGuess =
    "{name: guess, effect: prefetch, queries: last_step, scorer: exact, budget: {type: fixed, entries: 8}, "
    "pins: {sinks: 2, recent: 5}}";
constexpr const char* kTwoMemories = "[{name: hbm}, {name: dram, bandwidth: 10GB/s, latency: 1us}]";

std::string runs(const std::string& parameters = "stride: 0") {
  return fmt::format("{{type: {}, {}}}", test::kRuns, parameters);
}

/// What every entry takes, by the bytes of the trace's rows alone.
class Sizes {
 public:
  /// As the codec's; without removals.
  explicit Sizes(std::int64_t stride) {
    const trace::Reader trace(fixture().trace_path());
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      for (std::int64_t head = 0; head < 2; ++head) {
        std::vector<std::int64_t>& bytes = bytes_[{layer, head}];
        bytes.assign(kRows, 0);
        for (const trace::Field field : {trace::Field::keys, trace::Field::values}) {
          std::vector<Half> rows(kRows * kDim);
          trace.read(field, layer, head, 0, kRows, rows);
          for (std::int64_t entry = 0; entry < kRows; ++entry) {
            const std::int64_t base = stride > 0 ? entry / stride * stride : 0;
            const bool whole = base == entry;  // less the prompt's first row
            bytes[static_cast<std::size_t>(entry)] +=
                4 + differing(rows, entry, whole ? 0 : base) + entry % 11;
          }
        }
      }
    }
  }

  std::int64_t of(std::int64_t layer, std::int64_t head, std::int64_t entry) const {
    return bytes_.at({layer, head})[static_cast<std::size_t>(entry)];
  }
  std::int64_t of(CacheObject token) const { return of(token.layer, token.head, token.unit); }
  /// Of `entries` of one head.
  template <class Entries>
  double sum(std::int64_t layer, std::int64_t head, const Entries& entries) const {
    std::int64_t bytes = 0;
    for (const auto entry : entries) {
      bytes += of(layer, head, entry);
    }
    return static_cast<double>(bytes);
  }
  /// Of `entries` of all heads.
  template <class Entries>
  double of_all(const Entries& entries) const {
    double bytes = 0.0;
    for (std::int64_t head = 0; head < test::kHeads; ++head) {
      bytes += sum(head / 2, head % 2, entries);
    }
    return bytes;
  }

 private:
  static std::int64_t differing(std::span<const Half> rows, std::int64_t entry, std::int64_t base) {
    std::int64_t bytes = 0;
    for (std::int64_t d = 0; d < kDim; ++d) {
      const auto at = [&](std::int64_t row) {
        return std::bit_cast<std::uint16_t>(rows[static_cast<std::size_t>(row * kDim + d)]);
      };
      const int left = at(entry) ^ at(base);
      bytes += ((left & 0xff) != 0 ? 1 : 0) + ((left >> 8) != 0 ? 1 : 0);
    }
    return bytes;
  }

  std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::int64_t>> bytes_;
};

std::vector<std::int64_t> from_to(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> entries;
  for (std::int64_t entry = begin; entry < end; ++entry) {
    entries.push_back(entry);
  }
  return entries;
}

/// What is pinned at position p: two sinks, the recent five, the current entry.
std::vector<std::int64_t> pinned_at(std::int64_t p) {
  std::vector<std::int64_t> entries = from_to(p - 5, p + 1);
  entries.insert(entries.end(), {0, 1});
  return entries;
}

TEST_CASE("entries of the test codec are of many sizes") {
  const Sizes sizes(0);
  std::set<std::int64_t> found;
  for (const std::int64_t entry : from_to(0, kRows)) {
    found.insert(sizes.of(1, 1, entry));
  }
  CHECK(found.size() > 15);
  CHECK(*found.begin() == 8);  // the row that others are told from
  CHECK(*found.rbegin() <= kLargest);
}

/// One layer's log: the prompt's records head by head, then each step's.
struct PlainLog {
  PlainLog(const Sizes& sizes, std::int64_t layer) : sizes_(sizes), layer_(layer) {
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
  const Sizes& sizes_;
  std::int64_t layer_;
};

template <class Keep>
std::vector<CacheObject> only(std::span<const CacheObject> objects, Keep keep) {
  std::vector<CacheObject> kept;
  std::ranges::copy_if(objects, std::back_inserter(kept), keep);
  return kept;
}

double total_of(const Sizes& sizes, std::span<const CacheObject> objects) {
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

void check_heads(const Recount& recount, const Sizes& sizes, std::span<const CacheObject> touched,
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

void check_layer_on_flash(const Sizes& sizes, PlainLog& log, const test::StepCounts& counts,
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
  const Sizes sizes(0);
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
  const Sizes sizes(0);
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
    const Sizes sizes(stride);
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
  const Sizes sizes(0);
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
    setup.cache_bytes = 70 * kLargest;
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
      setup.cache_bytes = 60 * kLargest;
      setup.check = "every_step";
      setup.codec = runs("stride: 6");
      setup.threads = 1;
      const PointResult one = fixture().run(setup);
      setup.threads = 3;
      CHECK(test::same_bits(one, fixture().run(setup)));
    }
  }
}

TEST_CASE("layer by layer, what is swapped in place has its own sizes") {
  Setup setup = Setup().layer_by_layer();
  setup.scorer = "centroid";
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.replacement = "lru";
  setup.cache_scope = "layer";
  setup.cache_bytes = 60 * kLargest;
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
  const Sizes sizes(0);
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
      bytes += (sizes.of(1, 0, entry) * kWider + kLargest - 1) / kLargest;
    }
    CHECK(result.data.at(Metric::demanded_bytes, step, 1, 0) == static_cast<double>(bytes));
  }
}

TEST_CASE("what takes entries to be of one size is refused, at its place and before anything is replayed") {
  Setup setup;
  setup.codec = runs();
  for (const char* const layout : {"cluster_contiguous", "cluster_by_cluster", "dual_head"}) {
    setup.layout = layout;
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
  setup.cache_bytes = 60 * kLargest;
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

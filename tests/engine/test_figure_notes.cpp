#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/engine/figure_notes.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;
using Notes = std::vector<std::string>;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// The one of a replay's notes that begins so; empty where there is none.
std::string note_of(const Setup& setup, const std::string& begin) {
  const Notes notes = fixture().run(setup).notes;
  const auto found =
      std::ranges::find_if(notes, [&begin](const std::string& note) { return note.starts_with(begin); });
  return found == notes.end() ? "" : *found;
}

constexpr const char* kUnused = "the cache in tier";

/// Three steps of one layer and head in which everything a note asks for happens.
PointData eventful() {
  PointData data("p", 3, 1, 1);
  for (std::int64_t step = 0; step < 3; ++step) {
    data.set(Metric::position, step, static_cast<double>(step + 10));
    data.set(Metric::attended_entries, step, 0, 0, 5.0);
    data.set(Metric::updated_units, step, 0, 0, 1.0);
    data.set(Metric::guessed_bytes, step, 0, 0, 64.0);
    data.set(Metric::read_bytes, step, 0, 4096.0);
    data.set(Metric::write_bytes, step, 0, 0.0);
    for (const Metric part : {Metric::flash_energy_j, Metric::dram_energy_j, Metric::host_io_energy_j,
                              Metric::compute_energy_j, Metric::base_energy_j}) {
      data.set(part, step, 0.5);
    }
  }
  return data;
}

void set_all(PointData& data, Metric metric, double value) {
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    data.set(metric, step, value);
  }
}

void set_all_layers(PointData& data, Metric metric, double value) {
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    data.set(metric, step, 0, value);
  }
}

void set_all_heads(PointData& data, Metric metric, double value) {
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    data.set(metric, step, 0, 0, value);
  }
}

Notes notes_of(const PointData& data, const Setup& setup = {}) {
  const std::vector<CacheUse> caches{{.tier = "dram", .replacement = "lru", .keeps = true, .gave_up = true}};
  return figure_notes(fixture().config(setup), data, caches);
}

}  // namespace

TEST_CASE("where everything happened nothing is noted") {
  CHECK(notes_of(eventful()).empty());
}

TEST_CASE("a cache that was never full is noted with what it made no use of") {
  Setup setup;
  setup.replacement = "lfu";
  setup.cache_bytes = 10'000 * test::kEntryBytes;
  CHECK(note_of(setup, kUnused) ==
        "the cache in tier 'dram' was never full: replacement 'lfu' decided nothing, any other that keeps "
        "what is read does the same");
  setup.cache_bytes = 20 * test::kEntryBytes;
  CHECK(note_of(setup, kUnused).empty());
  setup.replacement = "belady";
  CHECK(note_of(setup, kUnused).empty());
}

TEST_CASE("what the note of a cache that was never full says is so") {
  Setup setup;
  setup.cache_bytes = 10'000 * test::kEntryBytes;
  setup.replacement = "lru";
  const PointResult recent = fixture().run(setup);
  for (const char* const other : {"fifo", "lfu", "belady"}) {
    setup.replacement = other;
    CHECK(test::same_bits(recent, fixture().run(setup)));
  }
}

TEST_CASE("the cache of each tier is noted by name") {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = 10 * test::kEntryBytes;
  setup.tiers =
      "[{name: hbm}, {name: cxl, bandwidth: 10GB/s, latency: 1us, capacity: 10MiB, replacement: fifo}, "
      "{name: flash}]";
  CHECK(note_of(setup, kUnused).starts_with("the cache in tier 'cxl' was never full: replacement 'fifo'"));
  setup.cache_bytes = 10'000 * test::kEntryBytes;
  CHECK(note_of(setup, kUnused).starts_with("the cache in tier 'hbm' was never full: replacement 'lru'"));
}

TEST_CASE("without a cache hits are none of it, and without a lower tier there is nothing to cache") {
  Setup setup;
  CHECK(note_of(setup, "hit_rate") == "hit_rate: replacement 'none' keeps nothing");
  setup.tiers = "[{name: dram}]";
  CHECK(note_of(setup, "hit_rate").empty());
  setup.replacement = "lru";
  setup.cache_bytes = 10'000 * test::kEntryBytes;
  CHECK(note_of(setup, kUnused).empty());
}

TEST_CASE("reuse of units that nothing updates is no number") {
  CHECK(note_of({}, "reuse_probability") ==
        "reuse_probability has no value: clustering 'token' updated no unit");
  Setup setup;
  setup.clustering = "{type: page, page_tokens: 8}";
  CHECK(note_of(setup, "reuse_probability").empty());
}

TEST_CASE("a budget that takes everything leaves nothing to tell scorers by") {
  Setup setup;
  const std::string note =
      "recall and mass: the budget takes every entry in every step, so that scorers do not differ";
  CHECK(note_of(setup, "recall and mass").empty());
  CHECK(note_of(setup.with_budget(1000), "recall and mass") == note);
  setup.selects = false;  // and none is asked to
  CHECK(note_of(setup, "recall and mass").empty());

  PointData data = eventful();
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    data.set(Metric::attended_entries, step, 0, 0, data.at(Metric::position, step) + 1.0);
  }
  CHECK(notes_of(data) == Notes{note});
  data.set(Metric::attended_entries, 1, 0, 0, 10.0);
  CHECK(notes_of(data).empty());
}

TEST_CASE("an eviction that removes nothing is told, and none that removes an entry") {
  Setup setup;
  setup.stages_before =
      "{when: prefill_end, effect: evict, units: token, scorer: position, budget: {type: fixed, entries: "
      "1000}}";
  const std::string note =
      "retained: stages that evict remove nothing, so that what they would cost is not seen";
  CHECK(note_of(setup, "retained") == note);
  setup.stages_before =
      "{when: prefill_end, effect: evict, units: token, scorer: position, budget: {type: fixed, entries: 8}}";
  CHECK(note_of(setup, "retained").empty());
  CHECK(note_of({}, "retained").empty());  // nobody evicts
}

TEST_CASE("guesses of what is in the first tier read nothing ahead") {
  Setup setup;
  setup.stages_before =
      "{name: guess, effect: prefetch, layers: 1.., queries: previous_layer, scorer: exact, budget: {type: "
      "fixed, entries: 8}}";
  PointData data = eventful();
  set_all_heads(data, Metric::guessed_bytes, 0.0);
  CHECK(notes_of(data).empty());  // nobody guesses
  setup.selects = true;
  data.set_layer_numbers({1});
  CHECK(
      notes_of(data, setup) ==
      Notes{"guess_precision and guess_coverage have no value: all that was guessed was in the first tier"});
  data.set_layer_numbers({0});  // where the stage does not guess
  CHECK(notes_of(data, setup).empty());
}

TEST_CASE("a flash that nothing is read from says nothing of the device") {
  PointData data = eventful();
  set_all_layers(data, Metric::read_bytes, 0.0);
  CHECK(notes_of(data) ==
        Notes{"nothing is read from flash in any step: times say nothing of how the device reads"});
  Setup setup;
  setup.tiers = "[{name: dram}]";
  CHECK(notes_of(data, setup).empty());
}

TEST_CASE("parts of the energy that cost nothing by the parameters are named") {
  PointData data = eventful();
  set_all(data, Metric::base_energy_j, 0.0);
  set_all(data, Metric::host_io_energy_j, 0.0);
  CHECK(notes_of(data) ==
        Notes{"energy_j lacks host_io_energy_j, base_energy_j: 0 by the parameters of phone "
              "'roofline' and device 'analytic'"});
  set_all_layers(data, Metric::read_bytes, 0.0);  // and so no core submits
  CHECK(notes_of(data).back() ==
        "energy_j lacks base_energy_j: 0 by the parameters of phone 'roofline' and device 'analytic'");
  Setup setup;
  setup.phone = "{type: roofline, base_power: 0W, compute_power: 0W}";
  CHECK(note_of(setup, "energy_j lacks") ==
        "energy_j lacks compute_energy_j, base_energy_j: 0 by the parameters of phone 'roofline' and device "
        "'analytic'");
}

}  // namespace kvr

// What a schedule leaves on flash between layers: what comes in again, and what DRAM still holds.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::largest;
using test::Setup;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

Setup clustered() {
  Setup setup;
  setup.clustering = "{type: kmeans, entries_per_cluster: 7}";
  setup.scorer = "centroid";
  setup.layout = "cluster_contiguous";
  setup.replacement = "lru";
  setup.cache_bytes = 60 * kEntryBytes;
  return setup;
}

/// What is on flash between layers.
struct Virtual {
  std::string holds = "all";
  std::string swap = "area";
  std::string representatives = "dram";
};
const Virtual kNothing{};
const Virtual kInPlace{.holds = "layer", .swap = "in_place"};
const Virtual kArea{.holds = "layer"};
const Virtual kRepresentatives{.representatives = "flash"};
const Virtual kAll{.holds = "layer", .representatives = "flash"};
const Virtual kAllInPlace{.holds = "layer", .swap = "in_place", .representatives = "flash"};

PointResult run(const Setup& base, const Virtual& memory, const std::string& schedule = "dynakv") {
  Setup setup = base;
  setup.schedule = schedule;
  setup.cache_holds = memory.holds;
  setup.swap = memory.swap;
  setup.representatives = memory.representatives;
  return fixture().run(setup);
}

PointResult run(const Virtual& memory, const std::string& schedule = "dynakv") {
  return run(clustered(), memory, schedule);
}

/// Bytes of `metric` in all layers that `result` has more than `other` in one step.
double more_in(const PointResult& result, const PointResult& other, Metric metric, std::int64_t step) {
  double more = 0.0;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    more += result.data.at(metric, step, layer) - other.data.at(metric, step, layer);
  }
  return more;
}

TEST_CASE("a schedule changes times and traffic, nothing of quality or hits") {
  const PointResult serial = run(kNothing, "serial");
  for (const Virtual& memory : {kAll, kInPlace, kNothing}) {
    const PointResult result = run(memory);
    for (const Metric metric : {Metric::recall, Metric::output_error, Metric::hit_units,
                                Metric::useful_read_bytes, Metric::moved_bytes}) {
      CHECK(test::same_bits(result, serial, metric));
    }
  }
}

TEST_CASE("with nothing virtual the same bytes move, and overlapping is never slower") {
  const PointResult serial = run(kNothing, "serial");
  const PointResult result = run(kNothing);
  for (const Metric metric : {Metric::read_bytes, Metric::read_requests, Metric::write_bytes,
                              Metric::cache_bytes, Metric::representative_bytes}) {
    CHECK(test::same_bits(result, serial, metric));
  }
  CHECK(total(result, Metric::hidden_io_s) > 0.0);
  CHECK(std::ranges::any_of(result.notes, [](const std::string& note) {
    return note.starts_with("left out: what it costs to read under computation");
  }));
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CHECK(result.data.at(Metric::latency_s, step) <= serial.data.at(Metric::latency_s, step));
  }
}

TEST_CASE("every schedule brings in what is on flash between layers: the same bytes, whichever overlaps") {
  for (const Virtual& memory : {kAll, kAllInPlace}) {
    const PointResult pipelined = run(memory);
    for (const char* const schedule : {"serial", "look_ahead"}) {
      CAPTURE(schedule);
      const PointResult result = run(memory, schedule);
      for (const Metric metric : {Metric::read_bytes, Metric::read_requests, Metric::write_bytes,
                                  Metric::cache_bytes, Metric::representative_bytes}) {
        CHECK(test::same_bits(result, pipelined, metric));
      }
      CHECK(total(result, Metric::critical_swap_in_s) > 0.0);
      CHECK(total(result, Metric::latency_s) >= total(pipelined, Metric::latency_s));
      CHECK(total(result, Metric::latency_s) > total(run(kNothing, schedule), Metric::latency_s));
    }
  }
}

TEST_CASE("a virtual cache reads back what it held at the end of the step before, in whole blocks") {
  const PointResult kept = run(kNothing);
  for (const Virtual& memory : {kInPlace, kArea}) {
    const PointResult swapped = run(memory);
    for (std::int64_t step = 1; step < kept.data.steps(); ++step) {
      CAPTURE(step);
      const double more = more_in(swapped, kept, Metric::read_bytes, step);
      CHECK(more >= kept.data.at(Metric::cache_bytes, step - 1));
      CHECK(more <= kept.data.at(Metric::flash_space_bytes, step));
    }
    // Two layers: both are in DRAM at a time, one in use and one coming in.
    CHECK(test::same_bits(swapped, kept, Metric::cache_bytes));
  }
  CHECK(test::same_bits(run(kInPlace), kept, Metric::write_bytes));
  CHECK(test::same_bits(run(kInPlace), kept, Metric::flash_space_bytes));
}

TEST_CASE("a swap area is written when the cache changes, and one block of each layer is read if it fits") {
  const PointResult kept = run(kNothing);  // 60 entries of 64 B in both layers: no layer's exceed a block
  const PointResult swapped = run(kArea);
  double written_steps = 0.0;
  for (std::int64_t step = 0; step < kept.data.steps(); ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      CAPTURE(step);
      CAPTURE(layer);
      const auto more = [&](Metric metric) {
        return swapped.data.at(metric, step, layer) - kept.data.at(metric, step, layer);
      };
      const double written = more(Metric::write_bytes);
      const bool is_whole_block = written == 0.0 || written == 4096.0;
      CHECK(is_whole_block);
      written_steps += written / 4096.0;
      CHECK(more(Metric::read_requests) <= 1.0);
      CHECK(more(Metric::read_bytes) == 4096.0 * more(Metric::read_requests));
    }
    CHECK(more_in(swapped, kept, Metric::read_requests, step) >= (step == 0 ? 0.0 : 1.0));
    CHECK(swapped.data.at(Metric::flash_space_bytes, step) <=
          kept.data.at(Metric::flash_space_bytes, step) + 2 * 4096.0);
  }
  CHECK(written_steps >= 2.0);
  CHECK(written_steps < 2.0 * static_cast<double>(kept.data.steps()));
}

TEST_CASE("a swap area holds all that is cached, in fewer requests than the layout has it") {
  Setup setup = clustered();
  setup.cache_bytes = 300 * kEntryBytes;
  setup.check = "every_step";
  const PointResult kept = run(setup, kNothing);
  const PointResult area = run(setup, kArea);
  const PointResult in_place = run(setup, kInPlace);
  for (std::int64_t step = 1; step < kept.data.steps(); ++step) {
    CAPTURE(step);
    const double space =
        area.data.at(Metric::flash_space_bytes, step) - kept.data.at(Metric::flash_space_bytes, step);
    CHECK(space >= kept.data.at(Metric::cache_bytes, step));
    CHECK(more_in(area, kept, Metric::read_bytes, step) <= space);
    CHECK(more_in(area, kept, Metric::read_requests, step) <= 2.0);
  }
  CHECK(total(area, Metric::read_requests) < total(in_place, Metric::read_requests));
  CHECK(total(area, Metric::write_bytes) > total(in_place, Metric::write_bytes));
}

Setup with_waiting_entries() {
  Setup setup = clustered();
  setup.layout = "{type: dual_head, pairing: order, page_buffer: 4KiB}";
  return setup;
}

TEST_CASE("a virtual cache does not read back from the layout what still waits to be written") {
  const PointResult kept = run(with_waiting_entries(), kNothing);
  for (const Virtual& memory : {kInPlace, kArea}) {
    const PointResult swapped = run(with_waiting_entries(), memory);
    CHECK(largest(swapped, Metric::write_buffer_bytes) > 0.0);
    CHECK(test::same_bits(swapped, kept, Metric::hit_units));
    CHECK(total(swapped, Metric::read_bytes) > total(kept, Metric::read_bytes));
  }
}

TEST_CASE("swapped in place, cached entries that wait to be written stay in DRAM in every layer") {
  Setup setup = with_waiting_entries();
  setup.model =
      "{type: decoder, layers: 20, query_heads: 4, kv_heads: 2, head_dim: 16, hidden: 64, ffn: 128, vocab: "
      "500}";
  setup.cache_bytes *= 10;
  const auto cache_bytes = [&setup](const Virtual& memory) {
    const PointResult result = run(setup, memory);
    const auto bytes = values(result, Metric::cache_bytes);
    return std::vector<double>(bytes.begin(), bytes.end());
  };
  const std::vector<double> kept = cache_bytes(kNothing);
  const std::vector<double> area = cache_bytes(kArea);
  const std::vector<double> in_place = cache_bytes(kInPlace);
  bool any_waits = false;
  for (std::size_t step = 0; step < kept.size(); ++step) {
    CAPTURE(step);
    CHECK(area[step] == doctest::Approx(kept[step] / 10.0));
    CHECK(in_place[step] >= area[step]);
    CHECK(in_place[step] <= kept[step]);
    any_waits = any_waits || in_place[step] > area[step];
  }
  CHECK(any_waits);
}

TEST_CASE("of many layers only two are in DRAM") {
  Setup setup = clustered();
  setup.cache_bytes *= 10;
  setup.model =
      "{type: decoder, layers: 20, query_heads: 4, kv_heads: 2, head_dim: 16, hidden: 64, ffn: 128, vocab: "
      "500}";
  const PointResult kept = run(setup, kNothing);
  CHECK(largest(kept, Metric::cache_bytes) > 0.0);
  for (const Virtual& memory : {kAll, kAllInPlace}) {
    const PointResult swapped = run(setup, memory);
    for (std::int64_t step = 0; step < kept.data.steps(); ++step) {
      // The two captured layers are ten of the model's each; of every pair one is in use, one comes in.
      CHECK(swapped.data.at(Metric::cache_bytes, step) ==
            doctest::Approx(kept.data.at(Metric::cache_bytes, step) / 10.0));
      CHECK(swapped.data.at(Metric::representative_bytes, step) <=
            kept.data.at(Metric::representative_bytes, step) / 10.0);
    }
  }
}

TEST_CASE("representatives on flash are read whole and written where they changed") {
  const PointResult in_dram = run(kNothing);
  const PointResult on_flash = run(kRepresentatives);
  for (std::int64_t step = 0; step < in_dram.data.steps(); ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      // Two heads of at most ten centroids of 16 floats: a block each, read; the block of the appended
      // unit's, written.
      CHECK(on_flash.data.at(Metric::read_bytes, step, layer) ==
            in_dram.data.at(Metric::read_bytes, step, layer) + 2 * 4096.0);
      CHECK(on_flash.data.at(Metric::write_bytes, step, layer) ==
            in_dram.data.at(Metric::write_bytes, step, layer) + 2 * 4096.0);
    }
    CHECK(on_flash.data.at(Metric::flash_space_bytes, step) ==
          in_dram.data.at(Metric::flash_space_bytes, step) + 4 * 4096.0);
  }
}

TEST_CASE("a regrouping writes all representatives again") {
  Setup setup = clustered();
  setup.clustering = "{type: kmeans, clusters: 7, refit_every: 4}";
  setup.cache_bytes = 60 * 16384;
  setup.model =  // of two blocks each
      "{type: decoder, layers: 2, query_heads: 4, kv_heads: 2, head_dim: 4096, hidden: 64, ffn: 128, vocab: "
      "500}";
  const PointResult in_dram = run(setup, kNothing);
  const PointResult on_flash = run(setup, kRepresentatives);
  for (std::int64_t step = 0; step < in_dram.data.steps(); ++step) {
    const double read = more_in(on_flash, in_dram, Metric::read_bytes, step);
    const double written = more_in(on_flash, in_dram, Metric::write_bytes, step);
    CHECK(read > 0.0);
    CHECK((written == read) == ((step + 1) % 4 == 0));
    CHECK(written <= read);
  }
}

}  // namespace
}  // namespace kvr

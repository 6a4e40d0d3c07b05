// What a schedule leaves on flash between layers: what comes in again, and what DRAM still holds.
#include <doctest/doctest.h>

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

PointResult run(const std::string& schedule) {
  Setup setup = clustered();
  setup.schedule = schedule;
  return fixture().run(setup);
}

const char* const kNothingVirtual = "{type: dynakv, representatives: dram, virtual_cache: false}";

TEST_CASE("a schedule changes times and traffic, nothing of quality or hits") {
  const PointResult serial = run("serial");
  for (const char* schedule : {"dynakv", kNothingVirtual}) {
    const PointResult result = run(schedule);
    for (const Metric metric : {Metric::recall, Metric::output_error, Metric::hit_units,
                                Metric::useful_read_bytes, Metric::moved_bytes}) {
      CHECK(test::same_bits(result, serial, metric));
    }
  }
}

TEST_CASE("with nothing virtual the same bytes move, and overlapping is never slower") {
  const PointResult serial = run("serial");
  const PointResult result = run(kNothingVirtual);
  for (const Metric metric : {Metric::read_bytes, Metric::read_requests, Metric::write_bytes,
                              Metric::cache_bytes, Metric::representative_bytes}) {
    CHECK(test::same_bits(result, serial, metric));
  }
  CHECK(total(result, Metric::hidden_io_s) > 0.0);
  for (std::int64_t step = 0; step < result.data.steps(); ++step) {
    CHECK(result.data.at(Metric::latency_s, step) <= serial.data.at(Metric::latency_s, step));
  }
}

TEST_CASE("a virtual cache reads back what it held at the end of the step before, in whole blocks") {
  const PointResult kept = run(kNothingVirtual);
  const PointResult swapped = run("{type: dynakv, representatives: dram}");
  for (std::int64_t step = 1; step < kept.data.steps(); ++step) {
    double more = 0.0;
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      more +=
          swapped.data.at(Metric::read_bytes, step, layer) - kept.data.at(Metric::read_bytes, step, layer);
    }
    CAPTURE(step);
    CHECK(more >= kept.data.at(Metric::cache_bytes, step - 1));
    CHECK(more <= kept.data.at(Metric::flash_space_bytes, step));
  }
  // Two layers: both are in DRAM at a time, one in use and one coming in.
  CHECK(test::same_bits(swapped, kept, Metric::cache_bytes));
}

TEST_CASE("a virtual cache does not read back what still waits to be written") {
  Setup setup = clustered();
  setup.layout = "{type: dual_head, pairing: order, page_buffer: 4KiB}";
  setup.schedule = kNothingVirtual;
  const PointResult kept = fixture().run(setup);
  setup.schedule = "{type: dynakv, representatives: dram}";
  const PointResult swapped = fixture().run(setup);
  CHECK(largest(swapped, Metric::write_buffer_bytes) > 0.0);
  CHECK(test::same_bits(swapped, kept, Metric::hit_units));
  CHECK(total(swapped, Metric::read_bytes) > total(kept, Metric::read_bytes));
}

TEST_CASE("of many layers only two are in DRAM") {
  Setup setup = clustered();
  setup.cache_bytes *= 10;
  setup.model =
      "{type: decoder, layers: 20, query_heads: 4, kv_heads: 2, head_dim: 16, hidden: 64, ffn: 128, vocab: "
      "500}";
  setup.schedule = kNothingVirtual;
  const PointResult kept = fixture().run(setup);
  setup.schedule = "dynakv";
  const PointResult swapped = fixture().run(setup);
  CHECK(largest(kept, Metric::cache_bytes) > 0.0);
  for (std::int64_t step = 0; step < kept.data.steps(); ++step) {
    // The two captured layers are ten of the model's each; of every pair one is in use, one comes in.
    CHECK(swapped.data.at(Metric::cache_bytes, step) ==
          doctest::Approx(kept.data.at(Metric::cache_bytes, step) / 10.0));
    CHECK(swapped.data.at(Metric::representative_bytes, step) <=
          kept.data.at(Metric::representative_bytes, step) / 10.0);
  }
}

TEST_CASE("representatives on flash are read whole and written where they changed") {
  const PointResult in_dram = run(kNothingVirtual);
  const PointResult on_flash = run("{type: dynakv, virtual_cache: false}");
  for (std::int64_t step = 0; step < in_dram.data.steps(); ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      // Two heads of at most ten centroids of 16 floats: a block each, read; the block of the appended
      // unit's, written.
      CHECK(on_flash.data.at(Metric::read_bytes, step, layer) ==
            in_dram.data.at(Metric::read_bytes, step, layer) + 2 * 4096.0);
      CHECK(on_flash.data.at(Metric::write_bytes, step, layer) ==
            in_dram.data.at(Metric::write_bytes, step, layer) + 2 * 4096.0);
    }
  }
}

}  // namespace
}  // namespace kvr

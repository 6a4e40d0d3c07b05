// What a replay says about cache, flash, time and threads.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::kEntryBytes;
using test::largest;
using test::Setup;
using test::smallest;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

TEST_CASE("one thread, three threads and a second run give the same bits") {
  for (Setup setup : test::all_setups()) {
    CAPTURE(setup.describe());
    setup.codec = setup.layout == "token_order" ? "fp16" : "int8";
    const PointResult once = fixture().run(setup);
    CHECK(test::same_bits(once, fixture().run(setup)));
    setup.threads = 3;
    CHECK(test::same_bits(once, fixture().run(setup)));
  }
}

TEST_CASE("layout and replacement change what a step costs and nothing of its quality") {
  for (const Setup& setup : test::all_setups()) {
    CAPTURE(setup.describe());
    Setup plain = setup;
    plain.layout = "token_order";
    plain.replacement = "none";
    const PointResult result = fixture().run(setup);
    const PointResult reference = fixture().run(plain);
    for (const Metric metric : {Metric::recall, Metric::mass, Metric::output_error, Metric::demanded_bytes}) {
      CHECK(test::same_bits(result, reference, metric));
    }
  }
}

void check_traffic(const PointResult& result) {
  const PointData& data = result.data;
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    for (std::int64_t layer = 0; layer < 2; ++layer) {
      double missed = 0.0;
      for (std::int64_t head = 0; head < 2; ++head) {
        const double demanded = data.at(Metric::demanded_bytes, step, layer, head);
        const double useful = data.at(Metric::useful_read_bytes, step, layer, head);
        CHECK(demanded == useful + data.at(Metric::hit_bytes, step, layer, head));
        CHECK(data.at(Metric::hit_units, step, layer, head) <=
              data.at(Metric::demanded_units, step, layer, head));
        missed += useful;
      }
      const double moved = data.at(Metric::moved_bytes, step, layer);  // read back unless it is in DRAM
      const bool reads = data.at(Metric::read_requests, step, layer) > 0.0;
      CHECK(((missed > 0.0 && reads) || (missed == 0.0 && (!reads || moved > 0.0))));
      CHECK(data.at(Metric::read_bytes, step, layer) >= missed);
    }
    CHECK(data.at(Metric::latency_s, step) ==
          doctest::Approx(data.at(Metric::compute_s, step) + data.at(Metric::io_s, step)).epsilon(1e-9));
    CHECK(data.at(Metric::exposed_io_s, step) == doctest::Approx(data.at(Metric::io_s, step)).epsilon(1e-9));
  }
}

TEST_CASE("bytes add up: demanded = hit + missed, whole blocks hold what was missed, serial steps are sums") {
  for (const Setup& setup : test::all_setups()) {
    CAPTURE(setup.describe());
    check_traffic(fixture().run(setup));
  }
}

TEST_CASE("without a cache nothing is ever a hit and no cache takes memory") {
  for (const Setup& setup : test::all_setups()) {
    if (setup.replacement == "none") {
      CAPTURE(setup.describe());
      const PointResult result = fixture().run(setup);
      CHECK(total(result, Metric::hit_units) == 0.0);
      CHECK(total(result, Metric::hit_bytes) == 0.0);
      CHECK(largest(result, Metric::cache_bytes) == 0.0);
    }
  }
}

TEST_CASE("a cache larger than everything reads every entry at most once") {
  for (Setup setup : test::all_setups()) {
    if (setup.replacement == "lru") {
      CAPTURE(setup.describe());
      setup.cache_bytes = 1 << 24;
      const PointResult result = fixture().run(setup);
      for (std::int64_t head = 0; head < 2; ++head) {
        double missed = 0.0;
        for (std::int64_t step = 0; step < result.data.steps(); ++step) {
          missed += result.data.at(Metric::useful_read_bytes, step, 1, head);
        }
        CHECK(missed <= 105.0 * kEntryBytes);
      }
      CHECK(total(result, Metric::hit_units) > 0.0);
    }
  }
}

TEST_CASE("a cache never exceeds its capacity, whatever shares it") {
  for (Setup setup : test::all_setups()) {
    if (setup.replacement == "lru" && setup.scorer == "centroid") {
      for (const std::int64_t entries : {4, 23, 90}) {
        for (const char* scope : {"model", "layer", "head"}) {
          CAPTURE(setup.describe());
          CAPTURE(entries);
          CAPTURE(scope);
          setup.cache_bytes = entries * kEntryBytes;
          setup.cache_scope = scope;
          const PointResult result = fixture().run(setup);
          CHECK(largest(result, Metric::cache_bytes) <= static_cast<double>(setup.cache_bytes));
        }
      }
    }
  }
}

TEST_CASE("a cache too small for one entry is an error that says what is left of it") {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = 200;
  setup.cache_scope = "head";
  CHECK(fixture().error_of(setup) ==
        "config.yaml:14:11: system.cache.capacity: 200 bytes for the whole model leave 'lru' 50 bytes in a "
        "cache, "
        "less than one entry of 64; give more, or replacement none");
}

TEST_CASE("steps that the trace does not have are an error that says which it has") {
  Setup setup;
  setup.first_step = 40;
  CHECK(fixture().error_of(setup) == "config.yaml:16:19: run.first_step: 40 is past the end; " +
                                         fixture().trace_path().string() +
                                         " has 40 decode steps, allowed is 0 to 39");
  setup.first_step = 30;
  setup.steps = 11;
  CHECK(fixture().error_of(setup) == "config.yaml:16:35: run.steps: 11 from step 30 on; " +
                                         fixture().trace_path().string() +
                                         " has only 10 left, 0 means all of them");
}

TEST_CASE("progress counts every step once") {
  std::vector<std::int64_t> seen;
  Setup setup;
  setup.steps = 4;
  fixture().run(setup, [&](std::int64_t done, std::int64_t all) { seen.push_back(10 * done + all); });
  CHECK(seen == std::vector<std::int64_t>{14, 24, 34, 44});
}

/// A Qwen-like model: 6 layers, 4 KV heads of 32 channels, 12 query heads.
Setup borrowed() {
  Setup setup;
  setup.model =
      "{type: decoder, layers: 6, query_heads: 12, kv_heads: 4, head_dim: 32, hidden: 384, ffn: 1024, "
      "vocab: 5000}";
  return setup;
}

/// Of single entries and no cache.
std::vector<std::string> plain_notes() {
  return {"hit_rate: replacement 'none' keeps nothing",
          "reuse_probability has no value: clustering 'token' updated no unit"};
}

TEST_CASE("a borrowed geometry is timed and counted, noted, and leaves the quality alone") {
  const PointResult own = fixture().run(Setup{});
  const PointResult other = fixture().run(borrowed());
  CHECK(own.notes == plain_notes());
  REQUIRE(other.notes.size() == 3);
  CHECK(std::vector(other.notes.begin() + 1, other.notes.end()) == plain_notes());
  CHECK(
      other.notes.front().starts_with("extrapolated: timing is for 6 layers of 4 KV heads (12 query heads, "
                                      "head_dim 32); each of the 2 captured layers is replayed by up to 3 "
                                      "model layers and each captured head by 2 heads of a layer; "));
  for (const Metric metric : {Metric::recall, Metric::mass, Metric::relative_mass, Metric::output_error,
                              Metric::selected_entries, Metric::units}) {
    CHECK(test::same_bits(own, other, metric));
  }
  for (std::int64_t step = 0; step < own.data.steps(); ++step) {
    CHECK(other.data.at(Metric::latency_s, step) > own.data.at(Metric::latency_s, step));
    // 3 model layers, 2 heads each, replay a captured head, and an entry has twice the channels
    CHECK(other.data.at(Metric::demanded_bytes, step, 0, 1) ==
          3 * 2 * 2 * own.data.at(Metric::demanded_bytes, step, 0, 1));
  }
}

TEST_CASE("layers that do not divide evenly are counted where they are replayed") {
  Setup setup;
  setup.model = "{type: decoder, layers: 3}";
  const PointResult own = fixture().run(Setup{});
  const PointResult three = fixture().run(setup);
  std::vector<std::string> notes = plain_notes();
  notes.insert(notes.begin(),
               "extrapolated: timing is for 3 layers of 2 KV heads (4 query heads, head_dim 16); "
               "each of the 2 captured layers is replayed by up to 2 model layers");
  CHECK(three.notes == notes);
  CHECK(three.data.at(Metric::read_bytes, 5, 0) == 2.0 * own.data.at(Metric::read_bytes, 5, 0));
  CHECK(three.data.at(Metric::read_bytes, 5, 1) == own.data.at(Metric::read_bytes, 5, 1));
}

TEST_CASE("a geometry that the captured layers cannot stand for is an error") {
  Setup setup;
  setup.model = "{type: decoder, layers: 1, query_heads: 6, kv_heads: 3}";
  CHECK(fixture().error_of(setup) ==
        "config.yaml:3:24: model.layers: 1 layers cannot replay the 2 captured ones; give at least as many");
}

/// 2 captured KV heads for so many of the model's.
PointResult with_heads(std::int64_t kv_heads) {
  Setup setup;
  setup.model = fmt::format("{{type: decoder, query_heads: {}, kv_heads: {}}}", 2 * kv_heads, kv_heads);
  return fixture().run(setup);
}

TEST_CASE("captured heads stand for any number of the model's, by a share where it is no multiple") {
  const PointResult own = fixture().run(Setup{});
  for (const std::int64_t kv_heads : {1, 3, 5}) {
    const double share = static_cast<double>(kv_heads) / 2.0;
    const PointResult shared = with_heads(kv_heads);
    for (const Metric metric : {Metric::read_bytes, Metric::read_requests, Metric::write_bytes,
                                Metric::flash_space_bytes, Metric::pinned_bytes, Metric::metadata_bytes}) {
      CAPTURE(kv_heads);
      CAPTURE(metric_table()[static_cast<std::size_t>(metric)].name);
      CHECK(total(shared, metric) == doctest::Approx(share * total(own, metric)).epsilon(1e-12));
    }
  }
}

TEST_CASE(
    "requests of heads that are left over are dealt out, so that I/O takes time between the multiples'") {
  const double one = total(with_heads(1), Metric::io_s);
  const double two = total(with_heads(2), Metric::io_s);
  const double three = total(with_heads(3), Metric::io_s);
  const double four = total(with_heads(4), Metric::io_s);
  CHECK(one < two);
  CHECK(two < three);
  CHECK(three < four);
  CHECK(three - two == doctest::Approx((four - two) / 2.0).epsilon(0.15));
}

TEST_CASE("a share is said in the notes") {
  const std::vector<std::string> notes = with_heads(5).notes;
  const bool said = std::ranges::any_of(notes, [](const std::string& note) {
    return note.find(
               "stands for 2.5 heads of a layer (5 for 2 captured ones: of the requests of a captured "
               "layer, 1 of 2 in turn are issued beside 2 times all)") != std::string::npos;
  });
  CHECK(said);
}

TEST_CASE("the spans of a replay's timeline add up to the latency of its steps") {
  const TemporaryFolder folder;
  Timeline timeline({2, 3});
  const PointResult result = fixture().run(Setup{}, {}, &timeline);
  timeline.write(folder / "t.json");
  std::ifstream file(folder / "t.json");
  double operations_us = 0.0;
  double steps_us = 0.0;
  int steps = 0;
  for (std::string line; std::getline(file, line);) {
    if (const std::size_t at = line.find("\"dur\":"); at != std::string::npos) {
      const bool is_step = line.find("\"position\":") != std::string::npos;
      (is_step ? steps_us : operations_us) += std::stod(line.substr(at + 6));
      steps += is_step ? 1 : 0;
    }
  }
  double latency_us = 0.0;
  for (std::int64_t step = 2; step < 5; ++step) {
    latency_us += 1e6 * result.data.at(Metric::latency_s, step);
  }
  CHECK(steps == 3);
  CHECK(steps_us == doctest::Approx(latency_us).epsilon(1e-4));
  CHECK(operations_us == doctest::Approx(latency_us).epsilon(1e-4));
}

}  // namespace
}  // namespace kvr

// Turns: what sequences do after their prompts, against what each does alone and without turns.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/error.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

/// `count` steps of a metric from `step` on, of one sequence where it is of heads.
std::vector<double> part(const PointResult& result, Metric metric, std::int64_t step, std::int64_t count,
                         std::int64_t sequence = 0) {
  const std::int64_t row = result.data.row_size(metric);
  const bool of_heads = info(metric).dims == Dims::step_layer_head;
  const std::int64_t heads = of_heads ? result.data.heads() : row;
  const std::int64_t sequences = of_heads ? result.data.walked_sequences() : 1;
  std::vector<double> found;
  for (std::int64_t at = step * row; at < (step + count) * row; ++at) {
    if (at / heads % sequences == sequence) {
      found.push_back(values(result, metric)[static_cast<std::size_t>(at)]);
    }
  }
  return found;
}

constexpr std::array kOfHeads = {Metric::recall,         Metric::mass,         Metric::output_error,
                                 Metric::retained,       Metric::units,        Metric::demanded_units,
                                 Metric::demanded_bytes, Metric::needed_loaded};

/// Two sequences at different places of the trace.
Setup two_sequences() {
  Setup setup;
  setup.check = "every_step";
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.scorer = "box_bound";
  return setup;
}

TEST_CASE("decoding in several turns is decoding in one") {
  Setup setup;
  setup.replacement = "lru";
  setup.cache_bytes = 60 * test::kEntryBytes;
  const PointResult plain = fixture().run(setup);
  setup.workload = "{turns: [{decode: 10}, {decode: 1}, {decode: 29}]}";
  const PointResult turns = fixture().run(setup);
  for (const MetricInfo& metric : metric_table()) {
    if (metric.origin == Origin::simulated && metric.id != Metric::turn) {
      CAPTURE(metric.name);
      CHECK(test::same_bits(plain, turns, metric.id));
    }
  }
  CHECK_FALSE(plain.data.recorded(Metric::turn));
  CHECK(turns.data.at(Metric::turn, 9) == 0.0);
  CHECK(turns.data.at(Metric::turn, 10) == 1.0);
  CHECK(turns.data.at(Metric::turn, 39) == 2.0);
}

TEST_CASE("what is read in is there afterwards as if it had been of the prompt") {
  Setup setup;  // tokens and exact scores: units do not depend on when an entry came
  setup.check = "every_step";
  setup.workload = "{turns: [{decode: 6}, {prefill: 11}, {decode: 9}]}";
  const PointResult turns = fixture().run(setup);
  CHECK(turns.data.steps() == 15);
  CHECK(turns.data.at(Metric::position, 5) == 70.0);
  CHECK(turns.data.at(Metric::position, 6) == 82.0);
  CHECK(std::ranges::any_of(turns.notes, [](const std::string& note) {
    return note.find("the 11 tokens of a sequence that turns read in") != std::string::npos;
  }));
  setup.workload = "{}";
  setup.steps = 6;
  const PointResult before = fixture().run(setup);
  setup.first_step = 17;
  setup.steps = 9;
  const PointResult after = fixture().run(setup);
  for (const Metric metric : kOfHeads) {
    CAPTURE(info(metric).name);
    CHECK(part(turns, metric, 0, 6) == part(before, metric, 0, 6));
    CHECK(part(turns, metric, 6, 9) == part(after, metric, 0, 9));
  }
  // All 17 new entries are on flash by then, or wait for it, where they are of the prompt in `after`.
  CHECK(part(turns, Metric::read_bytes, 6, 9) == part(after, Metric::read_bytes, 0, 9));
}

TEST_CASE("stages of the prompt's end evict at the end of what is read in, for the query of its last entry") {
  const std::string keep_twenty =
      "effect: evict, units: token, scorer: exact, budget: {type: fixed, entries: 20}, pins: "
      "{sinks: 0, recent: 4}}";
  Setup read_in;
  read_in.check = "every_step";
  read_in.budget = "{type: fraction, share: 1}";
  read_in.sinks = 0;
  read_in.recent = 0;
  read_in.stages_before = "{when: [prefill_end], " + keep_twenty;
  read_in.workload = "{turns: [{prefill: 15}, {decode: 9}]}";
  Setup decoded = read_in;
  decoded.stages_before += ", {when: [step], every: 15, " + keep_twenty;
  decoded.workload = "{turns: [{decode: 24}]}";
  const PointResult a = fixture().run(read_in);
  const PointResult b = fixture().run(decoded);
  for (const Metric metric : {Metric::retained, Metric::retained_recall}) {
    CAPTURE(info(metric).name);
    CHECK(part(a, metric, 0, 9) == part(b, metric, 15, 9));
  }
  CHECK(a.data.at(Metric::retained, 0, 0, 0) == doctest::Approx(25.0 / 81.0).epsilon(1e-12));
}

TEST_CASE(
    "sequences that take turns do what each does alone, and one that is dropped leaves nothing behind") {
  Setup setup = two_sequences();
  setup.workload =
      "{sequences: [{}, {offset: 12}], turns: [{decode: 5, sequences: 0}, {decode: 6, sequences: [1]}, "
      "{decode: 4}, {drop: true, sequences: 1}, {decode: 7}]}";
  const PointResult batch = fixture().run(setup);
  CHECK(batch.data.steps() == 22);
  CHECK(batch.data.tokens_per_step() == 26.0 / 22.0);
  setup.workload = "{}";
  const PointResult first = fixture().run(setup);
  setup.first_step = 12;
  const PointResult second = fixture().run(setup);
  for (const Metric metric : kOfHeads) {
    CAPTURE(info(metric).name);
    CHECK(part(batch, metric, 0, 5, 0) == part(first, metric, 0, 5));
    CHECK(part(batch, metric, 5, 6, 1) == part(second, metric, 0, 6));
    CHECK(part(batch, metric, 11, 4, 0) == part(first, metric, 5, 4));
    CHECK(part(batch, metric, 11, 4, 1) == part(second, metric, 6, 4));
    CHECK(part(batch, metric, 15, 7, 0) == part(first, metric, 9, 7));
    CHECK(std::ranges::all_of(part(batch, metric, 0, 5, 1), [](double value) { return std::isnan(value); }));
    CHECK(std::ranges::all_of(part(batch, metric, 15, 7, 1), [](double value) { return std::isnan(value); }));
  }
  for (const Metric metric : {Metric::latency_s, Metric::compute_s}) {
    CAPTURE(info(metric).name);  // differences of times since the first step, hence not to the last bit
    CHECK(std::ranges::equal(part(batch, metric, 15, 7), part(first, metric, 9, 7),
                             [](double a, double b) { return a == doctest::Approx(b).epsilon(1e-11); }));
  }
  for (const Metric metric :
       {Metric::read_bytes, Metric::write_bytes, Metric::pinned_bytes, Metric::representative_bytes,
        Metric::metadata_bytes, Metric::write_buffer_bytes, Metric::flash_space_bytes}) {
    CAPTURE(info(metric).name);
    CHECK(part(batch, metric, 15, 7) == part(first, metric, 9, 7));
  }
  CHECK(batch.data.at(Metric::flash_space_bytes, 14) > 1.5 * batch.data.at(Metric::flash_space_bytes, 15));
}

TEST_CASE("turns over caches that sequences share keep to their budgets, on any number of threads") {
  Setup setup = two_sequences();
  setup.replacement = "lru";
  setup.cache_bytes = 90 * test::kEntryBytes;
  setup.workload =
      "{sequences: [{}, {offset: 12}], turns: [{decode: 5}, {prefill: 6, sequences: 0}, {decode: 4}, {drop: "
      "true, "
      "sequences: 0}, {prefill: 3}, {decode: 7}]}";
  const PointResult one = fixture().run(setup);
  setup.threads = 3;
  CHECK(test::same_bits(one, fixture().run(setup)));
}

TEST_CASE(
    "a sequence that forks goes on as one that took its parent's way, and what they share is on flash once") {
  for (const char* clustering :
       {"token", "{type: page, page_tokens: 8}", "{type: kmeans, entries_per_cluster: 7}"}) {
    CAPTURE(clustering);
    Setup setup = two_sequences();
    setup.clustering = clustering;
    setup.scorer = "exact";
    setup.stages_before =
        "{effect: evict, when: [prefill_end, step], units: token, scorer: position, budget: {type: fixed, "
        "entries: 0}, pins: {sinks: 2, recent: 60}}";
    setup.workload =
        "{sequences: [{}, {}, {}], turns: [{prefill: 7, sequences: 0}, {fork: 0, sequences: 1}, {prefill: 3, "
        "sequences: 1}, {fork: 1, sequences: '2'}, {decode: 9}, {drop: true, sequences: '0..1'}, {decode: "
        "4}]}";
    const PointResult forked = fixture().run(setup);
    setup.workload = "{turns: [{prefill: 7}, {decode: 9}]}";
    const PointResult parent = fixture().run(setup);
    setup.workload = "{turns: [{prefill: 7}, {prefill: 3}, {decode: 13}]}";
    const PointResult child = fixture().run(setup);
    for (const Metric metric : kOfHeads) {
      CAPTURE(info(metric).name);
      CHECK(part(forked, metric, 0, 9, 0) == part(parent, metric, 0, 9));
      CHECK(part(forked, metric, 0, 9, 1) == part(child, metric, 0, 9));
      CHECK(part(forked, metric, 0, 13, 2) == part(child, metric, 0, 13));
    }
    const double together = forked.data.at(Metric::flash_space_bytes, 8);
    const double alone = child.data.at(Metric::flash_space_bytes, 8);
    CHECK(together >= alone);
    CHECK(together < 1.7 * alone);  // the prompt once, the newest entries thrice
    CHECK(forked.data.at(Metric::flash_space_bytes, 12) == child.data.at(Metric::flash_space_bytes, 12));
  }
}

TEST_CASE(
    "requests over one context, each forked, read in, answered and dropped, are consistent in every step") {
  Setup setup = two_sequences();
  setup.replacement = "lru";
  setup.cache_bytes = 90 * test::kEntryBytes;
  setup.workload =
      "{sequences: [{}, {}, {}], turns: [{fork: 0, sequences: 1}, {prefill: 5, sequences: 1}, {decode: 6, "
      "sequences: "
      "1}, {drop: true, sequences: 1}, {fork: 0, sequences: 2}, {drop: true, sequences: 0}, {prefill: 2}, "
      "{decode: "
      "5}]}";
  for (const char* tiers :
       {"[]", "[{name: dram}]", "[{name: dram}, {name: cxl, bandwidth: 1GB/s}]",
        "[{name: dram}, {name: cxl, bandwidth: 1GB/s, capacity: 6KiB, copies: exclusive}, {name: flash}]"}) {
    CAPTURE(tiers);
    setup.tiers = tiers;
    setup.threads = 1;
    const PointResult one = fixture().run(setup);
    CHECK(one.data.steps() == 11);
    setup.threads = 3;
    CHECK(test::same_bits(one, fixture().run(setup)));
  }
}

TEST_CASE("what forks share counts once, whoever is left of them") {
  Setup setup = two_sequences();
  setup.layout = "cluster_contiguous";
  const auto space = [&setup](const std::string& workload) {
    setup.workload = workload;
    const PointResult result = fixture().run(setup);
    return result.data.at(Metric::flash_space_bytes, result.data.steps() - 1);
  };
  CHECK(space("{sequences: [{}, {}], turns: [{fork: 1, sequences: 0}, {decode: 1}]}") ==
        space("{sequences: [{}, {}], turns: [{fork: 0, sequences: 1}, {decode: 1}]}"));
  const double alone = space("{turns: [{prefill: 30}, {decode: 1}]}");
  // The generation between is gone, but what it read in is the last one's too; so where siblings are left.
  CHECK(
      space(
          "{sequences: [{}, {}, {}], turns: [{fork: 0, sequences: 1}, {prefill: 30, sequences: 1}, {fork: 1, "
          "sequences: 2}, {drop: true, sequences: 1}, {decode: 1}]}") >= alone);
  CHECK(
      space(
          "{sequences: [{}, {}, {}], turns: [{fork: 0, sequences: 1}, {prefill: 30, sequences: 0}, {fork: 0, "
          "sequences: 2}, {drop: true, sequences: 0}, {decode: 1}]}") >= alone);
}

TEST_CASE("stages that act every so many steps count those of their sequence") {
  Setup setup;
  setup.stages_before =
      "{effect: evict, when: [step], every: 2, units: token, scorer: position, budget: {type: fixed, "
      "entries: 5}}";
  setup.workload =
      "{sequences: [{}, {}], turns: [{decode: 1, sequences: 0}, {decode: 1, sequences: 1}, {decode: 1, "
      "sequences: 0}, "
      "{decode: 1, sequences: 1}, {decode: 1}]}";
  const PointResult result = fixture().run(setup);
  const std::vector<double> first = part(result, Metric::retained, 4, 1, 0);
  CHECK(first == part(result, Metric::retained, 4, 1, 1));
  CHECK(first.front() < 1.0);
}

TEST_CASE("forks that cannot be are told all at once, and a trace that does not agree when it is read") {
  Setup setup;
  setup.workload =
      "{sequences: [{}, {}, {}], turns: [{decode: 3, sequences: 0}, {decode: 3, sequences: 1}, {fork: 0, "
      "sequences: "
      "1}, {fork: 2, sequences: 2}, {fork: 5, sequences: 1}]}";
  const std::string error = fixture().error_of(setup);
  for (const char* part :
       {"workload.turns.1: sequence 1 begins with a later turn; allowed: those that have begun",
        "workload.turns.2.fork: sequence 0 has decoded 3 tokens; allowed: one that has decoded nothing so "
        "far",
        "workload.turns.3.fork: sequence 2 is not there", "workload.turns.4.fork: sequence 5 is not there"}) {
    CAPTURE(part);
    CHECK(error.find(part) != std::string::npos);
  }
  trace::SynthOptions options = test::small_trace();
  options.seed = 12;
  const test::ReplayFixture other(options);
  setup.workload =
      fmt::format("{{sequences: [{{}}, {{trace: {}}}], turns: [{{fork: 0, sequences: 1}}, {{decode: 3}}]}}",
                  other.trace_path().string());
  const trace::Reader first(fixture().trace_path());
  const trace::Reader second(other.trace_path());
  try {
    replay(fixture().config(setup), std::array{&first, &second}, {}, nullptr);
    FAIL("nothing is told");
  } catch (const InputError& difference) {
    CHECK(
        std::string(difference.what())
            .find("workload.turns.0.fork: the first 65 entries of sequence 1 are not those of sequence 0") !=
        std::string::npos);
  }
}

TEST_CASE("turns that cannot be taken are told all at once") {
  Setup setup;
  setup.workload =
      "{sequences: [{}, {offset: 30}], turns: [{decode: 20}, {drop: true, sequences: 1}, {decode: 21, "
      "sequences: "
      "'0..1'}, {decode: 1, sequences: 7}]}";
  const std::string error = fixture().error_of(setup);
  CHECK(
      error.find("workload.turns.2: sequence 1 ended with workload.turns.1; allowed: those that are left") !=
      std::string::npos);
  CHECK(error.find("workload.turns.3: none of these sequences is there") != std::string::npos);
  CHECK(error.find("workload.turns: sequence 0 comes to 41 tokens after its prompt of 65") !=
        std::string::npos);
  CHECK(error.find("has 40 more") != std::string::npos);
  setup.workload = "{turns: [{prefill: 3}]}";
  setup.steps = 2;
  const std::string other = fixture().error_of(setup);
  CHECK(other.find("workload.turns: no turn decodes") != std::string::npos);
  CHECK(other.find("run.steps: 2 beside workload.turns, which say it; allowed: 0") != std::string::npos);
  setup.steps = 0;
  setup.first_step = 1;
  setup.workload = "{sequences: [{offset: 9223372036854775807}, {offset: 39}], turns: [{decode: 1}]}";
  const std::string far = fixture().error_of(setup);
  CHECK(far.find("workload.sequences.0.offset: 9223372036854775807 is past the end") != std::string::npos);
  CHECK(far.find("workload.sequences.1.offset: 40 is past the end") != std::string::npos);
  setup.workload = "{turns: [3, {decode: 3}, {}]}";
  const std::string shape = fixture().error_of(setup);
  CHECK(shape.find("workload.turns.0: is not a map (3)") != std::string::npos);
  CHECK(shape.find("workload.turns.2: does nothing") != std::string::npos);
  setup.workload = "{turns: [{prefill: 3, decode: 2}, {}]}";
  const std::string both = fixture().error_of(setup);
  CHECK(both.find("workload.turns.0: does decode and prefill; allowed: one of") != std::string::npos);
  CHECK(both.find("workload.turns.1: does nothing; allowed: one of") != std::string::npos);
}

}  // namespace
}  // namespace kvr

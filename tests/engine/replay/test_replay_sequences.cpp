// Sequences that decode together, copies of one and others: weights are read once, everything else is done
// for each as it would be alone, and they share memory and flash.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/base/error.hpp"
#include "tests/engine/replay_fixture.hpp"

namespace kvr {
namespace {

using test::Setup;
using test::total;
using test::values;

const test::ReplayFixture& fixture() {
  static const test::ReplayFixture made;
  return made;
}

double summary(const PointResult& result, std::string_view name) {
  return std::ranges::find(summary_table(), name, &SummaryInfo::name)->compute(result.data);
}

TEST_CASE("b sequences make b times the requests, take b times the DRAM and flash, and choose as one does") {
  for (const bool together : {false, true}) {
    CAPTURE(together);
    Setup setup;
    setup.heads_together = together;
    setup.replacement = "lru";
    setup.cache_bytes = 40 * test::kEntryBytes;
    setup.check = "every_step";
    const PointResult one = fixture().run(setup);
    setup.sequences = 3;
    setup.cache_bytes *= 3;
    const PointResult three = fixture().run(setup);
    for (const Metric same : {Metric::recall, Metric::mass, Metric::output_error, Metric::hit_units,
                              Metric::contiguous_mean_entries}) {
      CHECK(test::same_bits(one, three, same));
    }
    for (const Metric of_each :
         {Metric::read_requests, Metric::read_bytes, Metric::write_bytes, Metric::useful_read_bytes,
          Metric::cache_bytes, Metric::working_buffer_bytes, Metric::pinned_bytes,
          Metric::representative_bytes, Metric::metadata_bytes, Metric::flash_space_bytes}) {
      CAPTURE(info(of_each).name);
      CHECK(std::ranges::equal(values(one, of_each), values(three, of_each), [](double a, double b) {
        return 3.0 * a == doctest::Approx(b).epsilon(1e-12);
      }));
    }
  }
}

TEST_CASE("computing for several sequences lies between one's and as many times that") {
  Setup setup;
  const PointResult one = fixture().run(setup);
  setup.sequences = 4;
  const PointResult four = fixture().run(setup);
  CHECK(total(four, Metric::compute_s) > total(one, Metric::compute_s));
  CHECK(total(four, Metric::compute_s) < 4.0 * total(one, Metric::compute_s));
  // Scoring is done for each, but started once.
  CHECK(total(four, Metric::policy_s) > total(one, Metric::policy_s));
  CHECK(total(four, Metric::policy_s) <= 4.0 * total(one, Metric::policy_s));
  CHECK(summary(four, "tokens_per_s") ==
        doctest::Approx(4.0 * 40.0 / total(four, Metric::latency_s)).epsilon(1e-12));
  CHECK(summary(four, "tokens_per_s") > summary(one, "tokens_per_s"));
  CHECK(summary(four, "energy_per_token") ==
        doctest::Approx(total(four, Metric::energy_j) / 160.0).epsilon(1e-12));
}

TEST_CASE("more sequences than heads can be timed are refused") {
  Setup setup;
  setup.sequences = 4096;
  setup.model = "{type: decoder, layers: 20}";
  CHECK(fixture().error_of(setup).find(
            "trace.sequences: 4096 sequences of 20 layers of 2 KV heads are 163840 heads; "
            "allowed: at most 65536 together") != std::string::npos);
}

/// Like small_trace, but another text with a longer prompt and fewer steps.
const test::ReplayFixture& other() {
  static const test::ReplayFixture made = [] {
    trace::SynthOptions options = test::small_trace();
    options.prompt = 91;
    options.steps = 17;
    options.seed = 12;
    return test::ReplayFixture(options);
  }();
  return made;
}

constexpr std::array kOfEachHead = {Metric::recall,         Metric::mass,          Metric::output_error,
                                    Metric::retained,       Metric::needed_loaded, Metric::units,
                                    Metric::demanded_units, Metric::updated_units};

/// What one sequence of a batch has of a metric of heads, as it would have alone.
std::vector<double> of_sequence(const PointResult& batch, Metric metric, std::size_t sequence) {
  const auto heads = static_cast<std::size_t>(batch.data.heads());
  const auto sequences = static_cast<std::size_t>(batch.data.walked_sequences());
  std::vector<double> own;
  const auto all = values(batch, metric);
  for (std::size_t at = sequence * heads; at < all.size(); at += sequences * heads) {
    own.insert(own.end(), all.begin() + static_cast<std::ptrdiff_t>(at),
               all.begin() + static_cast<std::ptrdiff_t>(at + heads));
  }
  return own;
}

bool same_values(std::span<const double> a, std::span<const double> b) {
  return std::ranges::equal(a, b,
                            [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

Setup checked() {
  Setup setup;
  setup.check = "every_step";
  setup.clustering = "{type: page, page_tokens: 8}";
  setup.scorer = "box_bound";
  return setup;
}

TEST_CASE("the same sequence twice is a sequence and its copy") {
  for (const bool together : {false, true}) {
    CAPTURE(together);
    Setup setup = checked();
    setup.scorer = "centroid";
    setup.heads_together = together;
    setup.replacement = "lru";
    setup.cache_bytes = 80 * test::kEntryBytes;
    setup.cache_scope = "head";
    setup.sequences = 2;
    const PointResult copies = fixture().run(setup);
    setup.sequences = 1;
    setup.workload = "{sequences: [{}, {}]}";
    const PointResult batch = fixture().run(setup);
    CHECK(batch.data.walked_sequences() == 2);
    for (const Metric metric : kOfEachHead) {
      CAPTURE(info(metric).name);
      for (const std::size_t sequence : {std::size_t{0}, std::size_t{1}}) {
        CHECK(same_values(of_sequence(batch, metric, sequence), values(copies, metric)));
      }
    }
    for (const MetricInfo& metric : metric_table()) {
      if (metric.origin == Origin::simulated &&
          batch.data.row_size(metric.id) == copies.data.row_size(metric.id)) {
        CAPTURE(metric.name);
        CHECK(std::ranges::equal(values(batch, metric.id), values(copies, metric.id), [](double a, double b) {
          return (std::isnan(a) && std::isnan(b)) || a == doctest::Approx(b).epsilon(1e-12);
        }));
      }
    }
  }
}

TEST_CASE("sequences at other places of a trace, and of another trace, choose as each does alone") {
  Setup setup = checked();
  setup.stages_before =
      "{effect: evict, when: [prefill_end, step], units: token, scorer: position, budget: {type: fixed, "
      "entries: 0}, pins: {sinks: 2, recent: 40}}";
  setup.steps = 9;
  std::vector<PointResult> alone;
  alone.push_back(fixture().run(setup));
  setup.first_step = 20;
  alone.push_back(fixture().run(setup));
  setup.first_step = 0;
  alone.push_back(other().run(setup));
  setup.workload =
      fmt::format("{{sequences: [{{}}, {{offset: 20}}, {{trace: {}}}]}}", other().trace_path().string());
  const RunConfig config = fixture().config(setup);
  const trace::Reader first(fixture().trace_path());
  const trace::Reader last(other().trace_path());
  const PointResult batch = replay(config, std::array{&first, &first, &last}, {}, nullptr);
  for (const Metric metric : kOfEachHead) {
    CAPTURE(info(metric).name);
    for (std::size_t sequence = 0; sequence < alone.size(); ++sequence) {
      CAPTURE(sequence);
      CHECK(same_values(of_sequence(batch, metric, sequence), values(alone[sequence], metric)));
    }
  }
  for (const Metric metric :
       {Metric::read_bytes, Metric::read_requests, Metric::write_bytes, Metric::appended_bytes}) {
    CAPTURE(info(metric).name);
    double sum = 0.0;
    for (const PointResult& one : alone) {
      sum += total(one, metric);
    }
    CHECK(total(batch, metric) == sum);
  }
  for (std::size_t step = 0; step < 9; ++step) {
    double space = 0.0;
    for (const PointResult& one : alone) {
      space += values(one, Metric::flash_space_bytes)[step];
    }
    CHECK(values(batch, Metric::flash_space_bytes)[step] == doctest::Approx(space).epsilon(1e-12));
  }
}

TEST_CASE("a batch steps as long as its shortest sequence, on any number of threads") {
  Setup setup = checked();
  setup.replacement = "lru";
  setup.cache_bytes = 90 * test::kEntryBytes;  // one cache for all sequences
  setup.workload =
      fmt::format("{{sequences: [{{offset: 3}}, {{trace: {}, offset: 4}}]}}", other().trace_path().string());
  const trace::Reader first(fixture().trace_path());
  const trace::Reader last(other().trace_path());
  const PointResult one = replay(fixture().config(setup), std::array{&first, &last}, {}, nullptr);
  CHECK(one.data.steps() == 13);
  setup.threads = 3;
  CHECK(test::same_bits(one, replay(fixture().config(setup), std::array{&first, &last}, {}, nullptr)));
}

TEST_CASE("traces that are not alike, and sequences that end too early, are told all at once") {
  trace::SynthOptions options = test::small_trace();
  options.kv_heads = 1;
  const test::ReplayFixture narrow(options);
  Setup setup;
  setup.steps = 30;
  setup.workload = fmt::format("{{sequences: [{{}}, {{trace: {}}}, {{trace: {}}}]}}",
                               narrow.trace_path().string(), narrow.trace_path().string());
  const trace::Reader wide(fixture().trace_path());
  const trace::Reader other_shape(narrow.trace_path());
  try {
    check_point(fixture().config(setup), std::array{&wide, &other_shape, &other_shape});
    FAIL("nothing is told");
  } catch (const InputError& error) {
    CHECK(error.problems().size() == 4);  // geometry and heads, of each
    CHECK(std::string(error.what()).find("workload.sequences.1.trace: ") != std::string::npos);
    CHECK(std::string(error.what()).find("workload.sequences.2.trace: ") != std::string::npos);
  }
  setup.workload = "{sequences: [{offset: 11}, {offset: 40}]}";
  const std::string error = fixture().error_of(setup);
  CHECK(error.find("run.steps: 30 from step 11 on") != std::string::npos);
  CHECK(error.find("workload.sequences.1.offset: 40 is past the end") != std::string::npos);
}

}  // namespace
}  // namespace kvr

// Sequences that decode together: weights are read once, everything else is done for each.
#include <doctest/doctest.h>

#include <algorithm>

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

}  // namespace
}  // namespace kvr

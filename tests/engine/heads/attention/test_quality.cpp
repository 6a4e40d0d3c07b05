// What is said of one head's step, against numbers worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/engine/heads/attention/quality.hpp"
#include "tests/policies/support.hpp"

namespace kvr {
namespace {

using test::Sequence;

/// Of the entries 0 to 3 a query of 1 gives 1/10, 2/10, 3/10 and 4/10 of its attention, one of 0 a quarter
/// each; entries 0 and 3 are attended to.
HeadQuality quality_of(CandidateRange span) {
  const Sequence keys({0, std::log(2.0F), std::log(3.0F), std::log(4.0F)}, 1);
  HeadTruth truth(2, 1, 1.0);
  const std::vector<Half> queries{to_half(1.0F), to_half(0.0F)};
  truth.ask(queries, keys.view(4));
  truth.find();
  const std::vector<EntryIndex> entries{0, 3};
  const std::vector<std::uint8_t> marked{1, 0, 0, 1};
  const std::vector<float> out{0.0F};
  const EntrySet live = EntrySet::first(4);
  HeadQuality quality;
  for (const std::int64_t query : {0, 1}) {
    add_quality({.entries = entries,
                 .marked = marked,
                 .chosen = 1,
                 .estimated = 0,
                 .out = out,
                 .live = live,
                 .range = {0, 3},
                 .budget = 1,
                 .pending = 0,
                 .span = span},
                query, truth, 0.5, quality);
  }
  return quality;
}

constexpr double kHalf = 1e-3;  // the keys are rounded to fp16

}  // namespace

TEST_CASE("a span's mass is that of its entries, and of those that are attended to") {
  const HeadQuality quality = quality_of({1, 4});
  CHECK(quality.span_true_mass == doctest::Approx((0.9 + 0.75) / 2).epsilon(kHalf));
  CHECK(quality.span_mass == doctest::Approx((0.4 + 0.25) / 2).epsilon(kHalf));
}

TEST_CASE("a span of everything has all mass, and one of nothing none") {
  const HeadQuality all = quality_of({0, 4});
  CHECK(all.span_true_mass == doctest::Approx(1.0));
  CHECK(all.span_mass == doctest::Approx(all.mass));
  CHECK(quality_of({}).span_true_mass == 0.0);
}

TEST_CASE("of a span that goes on only what is there counts") {
  CHECK(quality_of({3, 9}).span_true_mass == doctest::Approx((0.4 + 0.25) / 2).epsilon(kHalf));
  CHECK(quality_of({7, 9}).span_true_mass == 0.0);
}

}  // namespace kvr

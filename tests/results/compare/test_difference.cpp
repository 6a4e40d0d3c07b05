#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sim/results/compare/difference.hpp"

using namespace kvr::compare;
using kvr::Origin;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const Limits kNoDrop{.drop = Tolerance{}, .growth = {}};
const Limits kNoMove{.drop = Tolerance{}, .growth = Tolerance{}};

Repetitions of_seeds(std::vector<std::int64_t> seeds, std::vector<double> values) {
  return {std::move(seeds), std::move(values)};
}

Difference of_one(double base, double now) {
  return difference_of(of_seeds({1}, {base}), of_seeds({1}, {now}));
}

Limits drop_within(double amount, bool relative = false) {
  return {.drop = Tolerance{amount, relative}, .growth = {}};
}

}  // namespace

TEST_CASE("one seed: the plain difference decides") {
  const Difference difference = of_one(0.5, 0.25);
  CHECK(difference.method == Method::plain);
  CHECK(difference.difference == -0.25);
  CHECK_FALSE(difference.has_interval());
  CHECK(judge(difference, kNoDrop) == Verdict::regression);
  CHECK(judge(difference, drop_within(0.25)) == Verdict::within);
  CHECK(judge(difference, drop_within(0.24)) == Verdict::regression);
  CHECK(judge(difference, drop_within(0.5, true)) == Verdict::within);
  CHECK(judge(difference, drop_within(0.49, true)) == Verdict::regression);
  CHECK(judge(of_one(0.25, 0.5), kNoDrop) == Verdict::improved);
  CHECK(judge(of_one(0.25, 0.5), kNoMove) == Verdict::regression);
  CHECK(judge(of_one(0.25, 0.5), Limits{}) == Verdict::changed);
  CHECK(judge(of_one(0.5, 0.5), kNoMove) == Verdict::same);
}

TEST_CASE("the smallest difference there is counts where none is allowed") {
  CHECK(judge(of_one(0.5, std::nextafter(0.5, 0.0)), kNoDrop) == Verdict::regression);
}

TEST_CASE("seeds of both are paired, with Student's interval of their differences") {
  // scipy.stats.ttest_rel(now, base).confidence_interval(0.95)
  const auto base = of_seeds({1, 2, 3, 4, 5}, {0.50, 0.52, 0.49, 0.51, 0.53});
  const auto now = of_seeds({5, 4, 3, 2, 1}, {0.505, 0.50, 0.485, 0.49, 0.48});
  const Difference difference = difference_of(base, now);
  CHECK(difference.method == Method::paired);
  CHECK(difference.base_seeds == 5);
  CHECK(difference.base == doctest::Approx(0.51).epsilon(1e-14));
  CHECK(difference.now == doctest::Approx(0.492).epsilon(1e-14));
  CHECK(difference.difference == doctest::Approx(-0.018).epsilon(1e-13));
  CHECK(difference.half_width == doctest::Approx(0.012873846339645396).epsilon(1e-12));
  CHECK(judge(difference, kNoDrop) == Verdict::regression);
  CHECK(judge(difference, drop_within(0.005)) == Verdict::regression);
  // The interval's end nearest to zero is -0.00513.
  CHECK(judge(difference, drop_within(0.0052)) == Verdict::uncertain);
  CHECK(judge(difference, drop_within(0.0181)) == Verdict::within);
}

TEST_CASE("two seeds give a wide interval, which a small difference does not leave") {
  // scipy.stats.ttest_rel([3.5, 4.75], [3, 4]): 0.625 +- 1.588
  const Difference difference = difference_of(of_seeds({1, 2}, {3.0, 4.0}), of_seeds({1, 2}, {3.5, 4.75}));
  CHECK(difference.half_width == doctest::Approx(1.5882755920218368).epsilon(1e-12));
  CHECK(judge(difference, Limits{.drop = {}, .growth = Tolerance{}}) == Verdict::uncertain);
  CHECK(judge(difference, kNoDrop) == Verdict::uncertain);
}

TEST_CASE("one seed of three that differs is a regression where no move is allowed") {
  // Differences 0, -0.25, 0: mean -0.25 / 3, s = 0.25 / sqrt(3), t(0.975, 2) = 4.302652729911275
  const auto base = of_seeds({1, 2, 3}, {0.5, 0.5, 0.5});
  const Difference difference = difference_of(base, of_seeds({1, 2, 3}, {0.5, 0.25, 0.5}));
  CHECK(difference.difference == doctest::Approx(-0.25 / 3.0));
  CHECK(difference.half_width == doctest::Approx(4.302652729911275 * 0.25 / 3.0));
  CHECK(judge(difference, kNoMove) == Verdict::regression);
  CHECK(judge(difference, kNoMove, Origin::host) == Verdict::uncertain);
  CHECK(judge(difference, kNoDrop) == Verdict::uncertain);
  CHECK(judge(difference, Limits{}) == Verdict::changed);
  const Difference other_way = difference_of(base, of_seeds({1, 2, 3}, {0.5, 0.75, 0.5}));
  CHECK(judge(other_way, kNoMove) == Verdict::regression);
  CHECK(judge(other_way, kNoDrop) == Verdict::uncertain);
}

TEST_CASE("seeds that move against each other are judged alike, whichever way is right") {
  const Limits no_growth{.drop = {}, .growth = Tolerance{}};
  const auto base = of_seeds({1, 2}, {0.5, 0.5});
  for (const Difference& difference :
       {difference_of(base, of_seeds({1, 2}, {0.75, 0.25})),
        difference_of(base, of_seeds({3, 4}, {0.75, 0.25})), difference_of(base, of_seeds({3}, {0.5}))}) {
    CHECK(difference.difference == 0.0);
    CHECK(judge(difference, kNoDrop) == judge(difference, no_growth));
  }
  const Difference paired = difference_of(base, of_seeds({1, 2}, {0.75, 0.25}));
  CHECK(judge(paired, kNoDrop) == Verdict::uncertain);
  CHECK(judge(paired, drop_within(0.1)) == Verdict::uncertain);
  CHECK(judge(paired, Limits{}) == Verdict::changed);
  CHECK(judge(paired, kNoMove) == Verdict::regression);
}

TEST_CASE("other seeds that all have one value are the same") {
  for (const Limits& limits : {kNoDrop, kNoMove, Limits{}}) {
    CHECK(judge(difference_of(of_seeds({1}, {0.5}), of_seeds({2}, {0.5})), limits) == Verdict::same);
    CHECK(judge(difference_of(of_seeds({1, 2}, {0.5, 0.5}), of_seeds({3, 4}, {0.5, 0.5})), limits) ==
          Verdict::same);
  }
}

TEST_CASE("of more seeds than both have, those of both are paired") {
  const Difference difference =
      difference_of(of_seeds({1, 2, 3}, {1.0, 2.0, 9.0}), of_seeds({2, 3, 4}, {3.0, 10.0, 5.0}));
  CHECK(difference.method == Method::paired);
  CHECK(difference.base_seeds == 2);
  CHECK(difference.difference == 1.0);
  CHECK(difference.half_width == 0.0);
  const Difference one = difference_of(of_seeds({1, 2}, {1.0, 2.0}), of_seeds({2, 3}, {3.0, 4.0}));
  CHECK(one.method == Method::plain);
  CHECK(one.difference == 1.0);
}

TEST_CASE("other seeds: Welch's interval of the difference of the means") {
  // scipy.stats.ttest_ind([14, 15, 13.5], [10, 12, 11, 13], equal_var=False).confidence_interval(0.95)
  const Difference difference =
      difference_of(of_seeds({1, 2, 3, 4}, {10, 12, 11, 13}), of_seeds({5, 6, 7}, {14, 15, 13.5}));
  CHECK(difference.method == Method::welch);
  CHECK(difference.base_seeds == 4);
  CHECK(difference.now_seeds == 3);
  CHECK(difference.difference == doctest::Approx(2.666666666666666).epsilon(1e-13));
  CHECK(difference.half_width == doctest::Approx(2.026492592081718).epsilon(1e-11));
  const Difference wide = difference_of(of_seeds({1, 2}, {1, 2}), of_seeds({3, 4, 5, 6, 7}, {1, 5, 9, 2, 2}));
  CHECK(wide.difference == doctest::Approx(2.3).epsilon(1e-13));
  CHECK(wide.half_width == doctest::Approx(4.042982670367437).epsilon(1e-11));
  const Limits no_growth{.drop = {}, .growth = Tolerance{}};
  CHECK(judge(difference, no_growth) == Verdict::regression);
  CHECK(judge(wide, no_growth) == Verdict::uncertain);
}

TEST_CASE("other seeds of which one side has a single one: the difference of the means alone") {
  const Difference difference = difference_of(of_seeds({1, 2}, {1.0, 3.0}), of_seeds({3}, {1.5}));
  CHECK(difference.method == Method::plain);
  CHECK(difference.difference == -0.5);
  CHECK(judge(difference, kNoDrop) == Verdict::regression);
}

TEST_CASE("means that do not vary over other seeds differ for sure") {
  const Difference difference = difference_of(of_seeds({1, 2}, {1.0, 1.0}), of_seeds({3, 4}, {0.5, 0.5}));
  CHECK(difference.half_width == 0.0);
  CHECK(judge(difference, kNoDrop) == Verdict::regression);
}

TEST_CASE("NaN equals NaN; a value that is lost is a regression where a move would be") {
  CHECK(judge(of_one(kNan, kNan), kNoMove) == Verdict::same);
  CHECK(of_one(0.5, kNan).presence == Presence::lost);
  CHECK(judge(of_one(0.5, kNan), kNoDrop) == Verdict::regression);
  CHECK(judge(of_one(0.5, kNan), Limits{}) == Verdict::changed);
  CHECK(of_one(kNan, 0.5).presence == Presence::gained);
  CHECK(judge(of_one(kNan, 0.5), kNoDrop) == Verdict::changed);
  CHECK(judge(of_one(kNan, 0.5), kNoMove) == Verdict::regression);
}

TEST_CASE("seeds without a value on both sides say nothing, on one side they do") {
  const auto base = of_seeds({1, 2, 3}, {kNan, 1.0, 2.0});
  const Difference same_gap = difference_of(base, of_seeds({1, 2, 3}, {kNan, 2.0, 3.0}));
  CHECK(same_gap.presence == Presence::both);
  CHECK(same_gap.base_seeds == 2);
  CHECK(same_gap.difference == 1.0);
  CHECK(difference_of(base, of_seeds({1, 2, 3}, {kNan, 1.0, 2.0})).equal);
  CHECK(difference_of(base, of_seeds({1, 2, 3}, {1.0, 1.0, kNan})).presence == Presence::lost);
  CHECK(difference_of(base, of_seeds({1, 2, 3}, {1.0, 1.0, 2.0})).presence == Presence::gained);
  CHECK(difference_of(base, of_seeds({4, 5}, {1.0, 1.0})).presence == Presence::gained);
}

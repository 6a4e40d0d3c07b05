#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/results/statistics.hpp"

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("quantiles interpolate linearly between order statistics, as numpy does by default") {
  // numpy.percentile([15, 20, 35, 40, 50], [0, 5, 30, 40, 50, 95, 99, 100])
  const std::vector<double> values{35, 20, 50, 15, 40};
  CHECK(kvr::quantile(values, 0.00) == 15.0);
  CHECK(kvr::quantile(values, 0.05) == doctest::Approx(16.0).epsilon(1e-14));
  CHECK(kvr::quantile(values, 0.30) == doctest::Approx(23.0).epsilon(1e-14));
  CHECK(kvr::quantile(values, 0.40) == doctest::Approx(29.0).epsilon(1e-14));
  CHECK(kvr::quantile(values, 0.50) == 35.0);
  CHECK(kvr::quantile(values, 0.95) == doctest::Approx(48.0).epsilon(1e-14));
  CHECK(kvr::quantile(values, 0.99) == doctest::Approx(49.6).epsilon(1e-14));
  CHECK(kvr::quantile(values, 1.00) == 50.0);
}

TEST_CASE("every quantile of a single value is that value") {
  const std::vector<double> values{2.5};
  for (const double q : {0.0, 0.3, 0.5, 1.0}) {
    CHECK(kvr::quantile(values, q) == 2.5);
  }
}

TEST_CASE("the median of two values is their mean") {
  CHECK(kvr::quantile(std::vector<double>{1.0, 4.0}, 0.5) == 2.5);
}

TEST_CASE("a quantile outside 0 to 1 is refused") {
  CHECK_THROWS_AS(kvr::quantile(std::vector<double>{1.0}, 1.01), kvr::InternalError);
}

TEST_CASE("values that are NaN are left out of every statistic") {
  const std::vector<double> values{kNan, 3.0, kNan, 1.0};
  CHECK(kvr::sum(values) == 4.0);
  CHECK(kvr::mean(values) == 2.0);
  CHECK(kvr::maximum(values) == 3.0);
  CHECK(kvr::quantile(values, 0.5) == 2.0);
}

TEST_CASE("statistics of no value are NaN") {
  for (const std::vector<double>& values : {std::vector<double>{}, std::vector<double>{kNan}}) {
    CHECK(std::isnan(kvr::sum(values)));
    CHECK(std::isnan(kvr::mean(values)));
    CHECK(std::isnan(kvr::maximum(values)));
    CHECK(std::isnan(kvr::quantile(values, 0.5)));
  }
}

TEST_CASE("a sum keeps the small terms beside a large one") {
  std::vector<double> values(1000, 1e-3);
  values.front() = 1e16;
  values.push_back(-1e16);
  CHECK(kvr::sum(values) == doctest::Approx(0.999).epsilon(1e-12));
}

TEST_CASE("infinity survives a sum") {
  CHECK(std::isinf(kvr::sum(std::vector<double>{1.0, std::numeric_limits<double>::infinity()})));
}

TEST_CASE("the interval of a mean is Student's") {
  // scipy.stats.t.interval(0.95, 4, loc=3, scale=scipy.stats.sem([1, 2, 3, 4, 5])): 1.03675684, 4.96324316
  const auto five = kvr::mean_interval(std::vector<double>{1.0, 2.0, 3.0, 4.0, 5.0});
  CHECK(five.mean == 3.0);
  CHECK(five.half_width == doctest::Approx(1.9632431614775607).epsilon(1e-12));
  // t(0.975, 1) = tan(0.475 pi); s = 1, n = 2
  const auto two = kvr::mean_interval(std::vector<double>{0.0, std::sqrt(2.0)});
  CHECK(two.half_width == doctest::Approx(12.706204736174698 / std::sqrt(2.0)).epsilon(1e-12));
}

TEST_CASE("one value has no interval, equal ones one without width, and a missing one makes it NaN") {
  CHECK(kvr::mean_interval(std::vector<double>{7.0}).mean == 7.0);
  CHECK(std::isnan(kvr::mean_interval(std::vector<double>{7.0}).half_width));
  CHECK(kvr::mean_interval(std::vector<double>{7.0, 7.0, 7.0}).half_width == 0.0);
  CHECK(std::isnan(kvr::mean_interval(std::vector<double>{7.0, std::nan("")}).mean));
  CHECK(std::isnan(kvr::mean_interval(std::vector<double>{}).mean));
}

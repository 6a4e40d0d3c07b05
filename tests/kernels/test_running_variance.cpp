#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/kernels/running_variance.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

/// (1/n) sum ||x - mean||^2 by two passes, in double.
double two_pass_variance(MatrixView<float> rows) {
  double total = 0.0;
  for (std::int64_t c = 0; c < rows.cols; ++c) {
    double mean = 0.0;
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      mean += static_cast<double>(rows.row_data(i)[c]) / static_cast<double>(rows.rows);
    }
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      total += std::pow(static_cast<double>(rows.row_data(i)[c]) - mean, 2);
    }
  }
  return total / static_cast<double>(rows.rows);
}

TEST_CASE("adding one by one gives the two-pass variance to 1e-6, also far from the origin") {
  const std::uint64_t seed = 23;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t d : {1, 3, 16, 33, 128}) {
    for (const float offset : {0.0F, 1000.0F}) {
      CAPTURE(d);
      CAPTURE(offset);
      const std::int64_t n = 500;
      std::vector<float> points = test::random_floats(rng, n * d);
      for (float& x : points) {
        x += offset;
      }
      const MatrixView<float> rows = matrix_view(points.data(), n, d);
      RunningCluster cluster(d);
      for (std::int64_t i = 0; i < n; ++i) {
        const double announced = cluster.variance_with(rows.row(i));
        cluster.add(rows.row(i));
        CHECK(announced == doctest::Approx(cluster.variance()).epsilon(1e-12));
      }
      const double expected = two_pass_variance(rows);
      CHECK(cluster.count() == n);
      CHECK(cluster.variance() == doctest::Approx(expected).epsilon(1e-6));
      CHECK(RunningCluster::of(rows).variance() == doctest::Approx(expected).epsilon(1e-6));
    }
  }
}

TEST_CASE("running variance by hand: (0,0), (4,0), (2,3)") {
  RunningCluster cluster(2);
  CHECK(cluster.variance() == 0.0);
  CHECK(cluster.variance_with(std::vector<float>{9.0F, 9.0F}) == 0.0);
  cluster.add(std::vector<float>{0.0F, 0.0F});
  CHECK(cluster.variance() == 0.0);
  cluster.add(std::vector<float>{4.0F, 0.0F});
  CHECK(cluster.variance() == 4.0);
  // Mean (2, 1); squared distances 5, 5, 4.
  CHECK(cluster.variance_with(std::vector<float>{2.0F, 3.0F}) == doctest::Approx(14.0 / 3.0));
  CHECK(cluster.variance() == 4.0);
  cluster.add(std::vector<float>{2.0F, 3.0F});
  std::vector<float> centroid(2);
  cluster.copy_centroid(centroid);
  CHECK(centroid[0] == doctest::Approx(2.0F));
  CHECK(centroid[1] == doctest::Approx(1.0F));
}

TEST_CASE("merging two clusters equals one over all their members") {
  Rng rng(29);
  const std::int64_t d = 7;
  const std::vector<float> points = test::random_floats(rng, 50 * d);
  const MatrixView<float> rows = matrix_view(points.data(), 50, d);
  RunningCluster merged = RunningCluster::of(rows.slice(0, 13));
  merged.merge(RunningCluster(d));
  merged.merge(RunningCluster::of(rows.slice(13, 37)));
  const RunningCluster whole = RunningCluster::of(rows);
  CHECK(merged.count() == 50);
  CHECK(merged.variance() == doctest::Approx(whole.variance()).epsilon(1e-12));
  for (std::size_t c = 0; c < 7; ++c) {
    CHECK(merged.centroid()[c] == doctest::Approx(whole.centroid()[c]).epsilon(1e-12));
  }
  RunningCluster empty(d);
  empty.merge(RunningCluster(d));
  CHECK(empty.count() == 0);
  CHECK_THROWS_AS(merged.add(std::vector<float>(3)), InternalError);
}

}  // namespace
}  // namespace kvr::kernels

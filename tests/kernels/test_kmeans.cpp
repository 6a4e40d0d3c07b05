#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/kernels/kmeans.hpp"
#include "sim/kernels/nearest.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

using Assignment = std::vector<std::int32_t>;

MatrixView<float> rows_of(const std::vector<float>& data, std::int64_t d) {
  return matrix_view(data.data(), static_cast<std::int64_t>(data.size()) / d, d);
}

double slow_distance(std::span<const float> x, std::span<const float> c, Metric metric) {
  double squared = 0.0;
  double product = 0.0;
  double x_norm = 0.0;
  double c_norm = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto a = static_cast<double>(x[i]);
    const auto b = static_cast<double>(c[i]);
    squared += (a - b) * (a - b);
    product += a * b;
    x_norm += a * a;
    c_norm += b * b;
  }
  return metric == Metric::kL2 ? squared : 1.0 - product / std::sqrt(x_norm * c_norm);
}

double slow_inertia(MatrixView<float> points, const KMeansResult& result, Metric metric) {
  const MatrixView<float> centroids = rows_of(result.centroids, points.cols);
  double inertia = 0.0;
  for (std::int64_t i = 0; i < points.rows; ++i) {
    inertia +=
        slow_distance(points.row(i), centroids.row(result.assignment[static_cast<std::size_t>(i)]), metric);
  }
  return inertia;
}

std::vector<std::int64_t> sizes(const KMeansResult& result, std::int64_t clusters) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(clusters), 0);
  for (const std::int32_t k : result.assignment) {
    ++counts.at(static_cast<std::size_t>(k));
  }
  return counts;
}

/// What every result promises: no cluster empty, every centroid the mean of its members.
void check_invariants(MatrixView<float> points, const KMeansResult& result, std::int64_t clusters) {
  const std::vector<std::int64_t> counts = sizes(result, clusters);
  CHECK(*std::min_element(counts.begin(), counts.end()) >= 1);
  std::vector<double> means(result.centroids.size(), 0.0);
  for (std::int64_t i = 0; i < points.rows; ++i) {
    const std::int32_t k = result.assignment[static_cast<std::size_t>(i)];
    for (std::int64_t c = 0; c < points.cols; ++c) {
      means.data()[k * points.cols + c] +=
          static_cast<double>(points.row_data(i)[c]) / static_cast<double>(counts.data()[k]);
    }
  }
  for (std::size_t i = 0; i < means.size(); ++i) {
    CHECK(static_cast<double>(result.centroids[i]) == doctest::Approx(means[i]).epsilon(1e-5));
  }
}

TEST_CASE("two groups on a line are found, with their means and inertia") {
  const std::vector<float> points{0.0F, 1.0F, 10.0F, 2.0F, 12.0F};
  Rng rng(1);
  const KMeansResult result = kmeans(rows_of(points, 1), {.clusters = 2}, rng);
  CHECK(result.assignment[0] == result.assignment[1]);
  CHECK(result.assignment[0] == result.assignment[3]);
  CHECK(result.assignment[2] == result.assignment[4]);
  CHECK(result.assignment[0] != result.assignment[2]);
  CHECK(result.centroids[static_cast<std::size_t>(result.assignment[0])] == 1.0F);
  CHECK(result.centroids[static_cast<std::size_t>(result.assignment[2])] == 11.0F);
  CHECK(result.inertia == doctest::Approx(4.0));
}

TEST_CASE("from given centroids, one iteration is one assignment and one mean, ties to the lower index") {
  // 5 is equally far from 0 and 10 and goes to cluster 0.
  const std::vector<float> points{0.0F, 5.0F, 10.0F};
  const std::vector<float> initial{0.0F, 10.0F};
  const KMeansResult result =
      kmeans_from(rows_of(points, 1), rows_of(initial, 1), {.clusters = 2, .max_iterations = 1});
  CHECK(result.assignment == Assignment{0, 0, 1});
  CHECK(result.centroids == std::vector<float>{2.5F, 10.0F});
  CHECK(result.iterations == 1);
  CHECK(result.inertia == doctest::Approx(12.5));
}

TEST_CASE("every result keeps its promises, for both metrics and seedings") {
  const std::uint64_t seed = 53;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t d : {1, 5, 64}) {
    for (const std::int64_t n : {1, 2, 63, 64, 65, 300}) {
      for (const std::int64_t clusters : {std::int64_t{1}, std::min<std::int64_t>(n, 33), n}) {
        for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
          for (const Seeding seeding : {Seeding::kPlusPlus, Seeding::kRandomRows}) {
            CAPTURE(d);
            CAPTURE(n);
            CAPTURE(clusters);
            CAPTURE(metric == Metric::kL2);
            CAPTURE(seeding == Seeding::kPlusPlus);
            const std::vector<float> points = test::random_floats(rng, n * d);
            const KMeansOptions options{.clusters = clusters, .metric = metric, .seeding = seeding};
            const KMeansResult result = kmeans(rows_of(points, d), options, rng);
            check_invariants(rows_of(points, d), result, clusters);
            CHECK(std::abs(result.inertia - slow_inertia(rows_of(points, d), result, metric)) <=
                  1e-6 * static_cast<double>(n * d));
          }
        }
      }
    }
  }
}

TEST_CASE("as many clusters as distinct points: inertia 0, one point each") {
  Rng rng(59);
  const std::vector<float> points = test::random_floats(rng, 20 * 3);
  const KMeansResult result = kmeans(rows_of(points, 3), {.clusters = 20}, rng);
  CHECK(result.inertia == 0.0);
  CHECK(sizes(result, 20) == std::vector<std::int64_t>(20, 1));
}

TEST_CASE("all points equal: every cluster still gets one") {
  const std::vector<float> points(12 * 2, 1.5F);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    Rng rng(61);
    const KMeansResult result = kmeans(rows_of(points, 2), {.clusters = 5, .metric = metric}, rng);
    check_invariants(rows_of(points, 2), result, 5);
    CHECK(result.centroids == std::vector<float>(10, 1.5F));
  }
}

TEST_CASE("an empty cluster takes the farthest member of the cluster of largest inertia") {
  // Centroids 0 and 100 own everything; the third, at 1000, owns nothing. Inertia: 0+1+9 against 0+4, so it
  // takes the point 3.
  const std::vector<float> points{0.0F, 1.0F, 3.0F, 100.0F, 102.0F};
  const std::vector<float> initial{0.0F, 100.0F, 1000.0F};
  const KMeansResult result =
      kmeans_from(rows_of(points, 1), rows_of(initial, 1), {.clusters = 3, .max_iterations = 1});
  CHECK(result.assignment == Assignment{0, 0, 2, 1, 1});
  CHECK(result.centroids == std::vector<float>{0.5F, 101.0F, 3.0F});
}

TEST_CASE("inertia never rises from one iteration to the next") {
  const std::uint64_t seed = 67;
  CAPTURE(seed);
  Rng rng(seed);
  const std::vector<float> points = test::random_floats(rng, 400 * 8);
  const MatrixView<float> rows = rows_of(points, 8);
  double previous = std::numeric_limits<double>::infinity();
  for (int iterations = 1; iterations < 15; ++iterations) {
    Rng same(71);
    const KMeansResult result = kmeans(rows, {.clusters = 10, .max_iterations = iterations}, same);
    CHECK(result.inertia <= previous * (1.0 + 1e-6));
    previous = result.inertia;
  }
}

TEST_CASE("a converged result assigns every point to its nearest centroid") {
  const std::uint64_t seed = 73;
  CAPTURE(seed);
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    Rng rng(seed);
    const std::vector<float> points = test::random_floats(rng, 200 * 6);
    const MatrixView<float> rows = rows_of(points, 6);
    const KMeansResult result = kmeans(rows, {.clusters = 40, .max_iterations = 200, .metric = metric}, rng);
    REQUIRE(result.iterations < 200);
    for (std::int64_t i = 0; i < rows.rows; ++i) {
      CHECK(nearest_centroid(rows.row(i), rows_of(result.centroids, 6), metric) ==
            result.assignment[static_cast<std::size_t>(i)]);
    }
  }
}

TEST_CASE("a tolerance stops early, and the same seed gives the same bits") {
  const std::vector<float> points = [] {
    Rng data(79);
    return test::random_floats(data, 500 * 4);
  }();
  const MatrixView<float> rows = rows_of(points, 4);
  Rng first(83);
  Rng second(83);
  Rng third(83);
  const KMeansResult full = kmeans(rows, {.clusters = 12, .max_iterations = 100}, first);
  const KMeansResult again = kmeans(rows, {.clusters = 12, .max_iterations = 100}, second);
  const KMeansResult early = kmeans(rows, {.clusters = 12, .max_iterations = 100, .tolerance = 0.05}, third);
  CHECK(full.centroids == again.centroids);
  CHECK(full.assignment == again.assignment);
  CHECK(early.iterations < full.iterations);
}

TEST_CASE("k-means++ takes one row of each of ten far groups") {
  const std::uint64_t seed = 89;
  CAPTURE(seed);
  Rng rng(seed);
  std::vector<float> points = test::random_floats(rng, 200 * 2);
  for (std::size_t i = 0; i < 200; ++i) {
    points[2 * i] += static_cast<float>(i % 10) * 1e4F;
  }
  const KMeansResult result = kmeans(rows_of(points, 2), {.clusters = 10}, rng);
  CHECK(sizes(result, 10) == std::vector<std::int64_t>(10, 20));
}

TEST_CASE("cosine ignores length when it assigns, but not in the mean") {
  const std::vector<float> points{1.0F, 0.0F, 9.0F, 0.0F, 0.0F, 2.0F, 0.0F, 4.0F};
  const std::vector<float> initial{1.0F, 0.0F, 0.0F, 1.0F};
  const KMeansResult result =
      kmeans_from(rows_of(points, 2), rows_of(initial, 2), {.clusters = 2, .metric = Metric::kCosine});
  CHECK(result.assignment == Assignment{0, 0, 1, 1});
  CHECK(result.centroids == std::vector<float>{5.0F, 0.0F, 0.0F, 3.0F});
  CHECK(result.inertia == doctest::Approx(0.0));
}

TEST_CASE("two_means separates two groups and splits duplicates") {
  const std::vector<float> points{0.0F, 0.0F, 1.0F, 0.0F, 9.0F, 0.0F, 10.0F, 1.0F, 0.0F, 1.0F};
  const KMeansResult result = two_means(rows_of(points, 2), 10);
  CHECK(result.assignment == Assignment{1, 1, 0, 0, 1});
  check_invariants(rows_of(points, 2), result, 2);
  const std::vector<float> same(6, 2.0F);
  CHECK(sizes(two_means(rows_of(same, 2), 5), 2) == std::vector<std::int64_t>{2, 1});
  CHECK_THROWS_AS(two_means(rows_of(same, 6), 5), InternalError);
}

TEST_CASE("nearest_centroid by hand: ties to the lower index, cosine by angle") {
  const std::vector<float> centroids{4.0F, 0.0F, 0.0F, 1.0F, -2.0F, 0.0F};
  CHECK(nearest_centroid(std::vector<float>{1.0F, 0.5F}, rows_of(centroids, 2)) == 1);
  CHECK(nearest_centroid(std::vector<float>{1.0F, 0.5F}, rows_of(centroids, 2), Metric::kCosine) == 0);
  CHECK(nearest_centroid(std::vector<float>{1.0F, -9.0F}, rows_of({4.0F, 0.0F, -2.0F, 0.0F}, 2)) == 0);
}

TEST_CASE("best_products agrees with a plain search around the panel and block sizes") {
  const std::uint64_t seed = 97;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t n : {1, 4, 63, 64, 67, 130}) {
    for (const std::int64_t k : {1, 31, 32, 33, 100}) {
      CAPTURE(n);
      CAPTURE(k);
      const std::int64_t d = 9;
      const std::vector<float> points = test::random_floats(rng, n * d);
      std::vector<float> candidates = test::random_floats(rng, k * d);
      std::copy_n(candidates.begin(), d, candidates.end() - d);  // the last ties with the first
      std::vector<float> bias = test::random_floats(rng, k);
      bias.back() = bias.front();
      Assignment index(static_cast<std::size_t>(n));
      std::vector<float> value(index.size());
      best_products(rows_of(points, d), CandidatePanels(rows_of(candidates, d), bias), index, value);
      for (std::int64_t i = 0; i < n; ++i) {
        std::int32_t expected = 0;
        double best = -1e30;
        for (std::int32_t c = 0; c < k; ++c) {
          double sum = static_cast<double>(bias.data()[c]);
          for (std::int64_t j = 0; j < d; ++j) {
            sum += static_cast<double>(points.data()[i * d + j]) *
                   static_cast<double>(candidates.data()[c * d + j]);
          }
          if (sum > best) {
            best = sum;
            expected = c;
          }
        }
        CHECK(index.data()[i] == expected);
        CHECK(static_cast<double>(value.data()[i]) == doctest::Approx(best).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("more clusters than points, none, or no iterations are internal errors") {
  const std::vector<float> points(3, 1.0F);
  Rng rng(101);
  CHECK_THROWS_AS(kmeans(rows_of(points, 1), {.clusters = 4}, rng), InternalError);
  CHECK_THROWS_AS(kmeans(rows_of(points, 1), {.clusters = 0}, rng), InternalError);
  CHECK_THROWS_AS(kmeans(rows_of(points, 1), {.clusters = 1, .max_iterations = 0}, rng), InternalError);
  CHECK_THROWS_AS(nearest_centroid(std::vector<float>{1.0F}, rows_of({}, 1)), InternalError);
}

}  // namespace
}  // namespace kvr::kernels

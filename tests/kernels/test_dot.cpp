#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/kernels/dot.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

double exact_dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return sum;
}

/// Sum of |a b|, to which rounding errors are proportional.
double magnitude(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
  }
  return sum;
}

double exact_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double delta = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += delta * delta;
  }
  return sum;
}

TEST_CASE("dot and squared distance agree with double precision for every dimension up to 150") {
  const std::uint64_t seed = 1;
  CAPTURE(seed);
  Rng rng(seed);
  for (std::int64_t d = 0; d <= 150; ++d) {
    CAPTURE(d);
    const std::vector<float> a = test::random_floats(rng, d);
    const std::vector<float> b = test::random_floats(rng, d);
    CHECK(std::abs(static_cast<double>(dot(a, b)) - exact_dot(a, b)) <= 1e-6 * magnitude(a, b));
    CHECK(static_cast<double>(squared_distance(a, b)) == doctest::Approx(exact_distance(a, b)).epsilon(1e-6));
    CHECK(squared_distance(a, a) == 0.0F);
  }
}

TEST_CASE("dot by hand") {
  CHECK(dot(std::vector<float>{1.0F, 2.0F, 3.0F}, std::vector<float>{4.0F, -5.0F, 6.0F}) == 12.0F);
  CHECK(squared_distance(std::vector<float>{1.0F, 2.0F}, std::vector<float>{4.0F, -2.0F}) == 25.0F);
}

TEST_CASE("dot_rows gives dot's own bits for any shape, stride, group and element type") {
  const std::uint64_t seed = 2;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t d : {1, 7, 16, 31, 64, 128, 129}) {
    for (const std::int64_t n : {0, 1, 3, 4, 5, 31, 32, 33, 70}) {
      CAPTURE(d);
      CAPTURE(n);
      const std::int64_t group = 3;
      const std::int64_t stride = d + 2;
      const std::vector<float> queries = test::random_floats(rng, group * d);
      const std::vector<Half> halves = test::random_halves(rng, n * stride);
      std::vector<float> floats(halves.size());
      to_float(halves, floats);
      std::vector<float> from_halves(static_cast<std::size_t>(group * n));
      std::vector<float> from_floats(from_halves.size());
      const MatrixView<float> query_rows = matrix_view(queries.data(), group, d);
      const MatrixView<float> rows{floats.data(), n, d, stride};
      dot_rows(query_rows, {halves.data(), n, d, stride}, matrix_ref(from_halves.data(), group, n));
      dot_rows(query_rows, rows, matrix_ref(from_floats.data(), group, n));
      CHECK(from_halves == from_floats);
      for (std::int64_t i = 0; i < group * n; ++i) {
        CHECK(from_floats[static_cast<std::size_t>(i)] == dot(query_rows.row(i / n), rows.row(i % n)));
      }
    }
  }
}

TEST_CASE("squared_distance_rows gives squared_distance's own bits") {
  Rng rng(4);
  const std::int64_t d = 37;
  const std::vector<float> x = test::random_floats(rng, d);
  const std::vector<float> rows = test::random_floats(rng, 11 * d);
  std::vector<float> out(11);
  const MatrixView<float> view = matrix_view(rows.data(), 11, d);
  squared_distance_rows(x, view, out);
  for (std::int64_t i = 0; i < 11; ++i) {
    CHECK(out[static_cast<std::size_t>(i)] == squared_distance(x, view.row(i)));
  }
}

TEST_CASE("dot against fp16 converts exactly") {
  Rng rng(6);
  const std::vector<float> q = test::random_floats(rng, 33);
  const std::vector<Half> k = test::random_halves(rng, 33);
  std::vector<float> converted(33);
  to_float(k, converted);
  CHECK(dot(q, k) == dot(q, converted));
}

TEST_CASE("multiply agrees with double precision for shapes around the tile size") {
  const std::uint64_t seed = 3;
  CAPTURE(seed);
  Rng rng(seed);
  for (const std::int64_t m : {0, 1, 3, 4, 6, 8}) {
    for (const std::int64_t depth : {0, 1, 32, 33}) {
      for (const std::int64_t n : {1, 31, 32, 33, 96, 100}) {
        CAPTURE(m);
        CAPTURE(depth);
        CAPTURE(n);
        const std::vector<float> a = test::random_floats(rng, m * depth);
        const std::vector<float> b = test::random_floats(rng, depth * n);
        std::vector<float> out(static_cast<std::size_t>(m * n), -1.0F);
        multiply(matrix_view(a.data(), m, depth), matrix_view(b.data(), depth, n),
                 matrix_ref(out.data(), m, n));
        for (std::int64_t i = 0; i < m * n; ++i) {
          double expected = 0.0;
          for (std::int64_t k = 0; k < depth; ++k) {
            expected += static_cast<double>(a.data()[i / n * depth + k]) *
                        static_cast<double>(b.data()[k * n + i % n]);
          }
          CHECK(std::abs(static_cast<double>(out.data()[i]) - expected) <
                1e-5 * static_cast<double>(depth + 1));
        }
      }
    }
  }
}

TEST_CASE("add_scaled by hand, and shapes that do not fit are an internal error") {
  std::vector<float> y{1.0F, 1.0F, 1.0F};
  add_scaled(2.0F, std::vector<float>{1.0F, 2.0F, 3.0F}, y);
  CHECK(y == std::vector<float>{3.0F, 5.0F, 7.0F});
  CHECK_THROWS_AS(dot(y, std::vector<float>(2)), InternalError);
  CHECK_THROWS_AS(add_scaled(1.0F, y, std::span<float>(y).first(2)), InternalError);
}

}  // namespace
}  // namespace kvr::kernels

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "sim/kernels/principal_directions.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

TEST_CASE("directions by hand: rows (2, 2) and (1, -1) have the diagonals, with 8 and 2 of 10") {
  const std::vector<float> rows = {2, 2, 1, -1};
  RowProducts products(2);
  products.add(matrix_view(rows.data(), 2, 2));
  const PrincipalDirections found = products.directions(2, false);
  const auto half = static_cast<float>(std::numbers::sqrt2 / 2.0);
  CHECK(found.basis[0] == doctest::Approx(half));  // [channel, direction]
  CHECK(found.basis[2] == doctest::Approx(half));
  CHECK(std::abs(found.basis[1]) == doctest::Approx(half));
  CHECK(found.basis[3] == doctest::Approx(-found.basis[1]));
  CHECK(found.energy[0] == doctest::Approx(0.8));
  CHECK(found.energy[1] == doctest::Approx(0.2));
}

TEST_CASE("centred directions are those of the rows less their mean") {
  const std::vector<float> rows = {11, 5, 9, 5, 10, 5.5F, 10, 4.5F};  // mean (10, 5)
  RowProducts products(2);
  products.add(matrix_view(rows.data(), 3, 2));
  products.add(matrix_view(rows.data() + 6, 1, 2));
  const PrincipalDirections found = products.directions(1, true);
  CHECK(products.rows() == 4);
  CHECK(found.basis[0] == doctest::Approx(1.0));
  CHECK(std::abs(found.basis[1]) < 1e-6F);
  CHECK(found.energy[0] == doctest::Approx(2.0 / 2.5));
}

TEST_CASE(
    "directions are orthonormal, those of a lower rank come first, and all of them keep every product") {
  constexpr std::int64_t kWidth = 12;
  Rng rng(7);
  const std::vector<float> rows = test::random_floats(rng, 50 * kWidth);
  RowProducts products(kWidth);
  products.add(matrix_view(rows.data(), 50, kWidth));
  const PrincipalDirections all = products.directions(kWidth, false);
  const PrincipalDirections few = products.directions(3, false);
  const auto at = [](const PrincipalDirections& found, std::int64_t row, std::int64_t column) {
    return static_cast<double>(found.basis[static_cast<std::size_t>(row * found.rank + column)]);
  };
  for (std::int64_t i = 0; i < kWidth; ++i) {
    for (std::int64_t j = 0; j < kWidth; ++j) {
      double columns = 0.0;
      double lines = 0.0;
      for (std::int64_t k = 0; k < kWidth; ++k) {
        columns += at(all, k, i) * at(all, k, j);
        lines += at(all, i, k) * at(all, j, k);
      }
      CHECK(columns == doctest::Approx(i == j ? 1.0 : 0.0).epsilon(1e-5));
      CHECK(lines == doctest::Approx(i == j ? 1.0 : 0.0).epsilon(1e-5));
    }
    for (std::int64_t direction = 0; direction < 3; ++direction) {
      CHECK(at(few, i, direction) == at(all, i, direction));
    }
  }
}

}  // namespace
}  // namespace kvr::kernels

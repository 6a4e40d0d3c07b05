#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "sim/base/convert.hpp"
#include "tests/kernels/random_data.hpp"

namespace kvr::kernels {
namespace {

Half half(unsigned bits) {
  return Half{static_cast<std::uint16_t>(bits)};
}

/// The definition: (-1)^s * 2^(e-15) * 1.m, subnormals 2^-14 * 0.m.
double half_by_definition(std::uint32_t bits) {
  const int exponent = static_cast<int>((bits >> 10) & 31U);
  const double mantissa = static_cast<double>(bits & 1023U) / 1024.0;
  const double sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
  if (exponent == 31) {
    return mantissa == 0.0 ? sign * std::numeric_limits<double>::infinity() : std::nan("");
  }
  return sign * (exponent == 0 ? std::ldexp(mantissa, -14) : std::ldexp(1.0 + mantissa, exponent - 15));
}

std::vector<Half> all_halves() {
  std::vector<Half> halves;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    halves.push_back(Half{static_cast<std::uint16_t>(bits)});
  }
  return halves;
}

TEST_CASE("every half becomes the float that IEEE 754 says") {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    CAPTURE(bits);
    const double expected = half_by_definition(bits);
    const float got = to_float(Half{static_cast<std::uint16_t>(bits)});
    const bool same = std::isnan(expected) ? std::isnan(got) : static_cast<double>(got) == expected;
    REQUIRE(same);
    REQUIRE(std::signbit(got) == ((bits & 0x8000U) != 0));
  }
}

TEST_CASE("the fast conversions have the bits of the portable ones, for all 65,536 halves and back") {
  const std::vector<Half> halves = all_halves();
  std::vector<float> floats(halves.size());
  to_float(halves, floats);
  std::vector<Half> back(halves.size());
  to_half(floats, back);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    CAPTURE(i);
    REQUIRE(std::bit_cast<std::uint32_t>(floats[i]) == std::bit_cast<std::uint32_t>(to_float(halves[i])));
    REQUIRE(back[i] == to_half(floats[i]));
    const bool quiet = !std::isnan(floats[i]);
    REQUIRE((!quiet || back[i] == halves[i]));
  }
}

TEST_CASE("the fast conversion to half rounds like the portable one on random bits") {
  const std::uint64_t seed = 11;
  CAPTURE(seed);
  Rng rng(seed);
  std::vector<float> floats;
  for (int i = 0; i < 200000; ++i) {
    floats.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(rng.next())));
    floats.push_back(static_cast<float>(rng.normal() * 1e-6));
  }
  std::vector<Half> halves(floats.size());
  to_half(floats, halves);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    CAPTURE(i);
    REQUIRE(halves[i] == to_half(floats[i]));
  }
}

TEST_CASE("a float between two halves goes to the nearer one, half-way to the even one") {
  for (std::uint32_t bits = 0; bits < 0x7bffU; ++bits) {
    CAPTURE(bits);
    const double low = half_by_definition(bits);
    const double high = half_by_definition(bits + 1);
    const auto middle = static_cast<float>((low + high) / 2.0);  // exact: one more mantissa bit
    const Half even = half((bits & 1U) == 0 ? bits : bits + 1);
    REQUIRE(to_half(middle) == even);
    REQUIRE(to_half(std::nextafter(middle, 0.0F)) == half(bits));
    REQUIRE(to_half(std::nextafter(middle, 1e6F)) == half(bits + 1));
    REQUIRE(to_half(-middle) == half(unsigned{even.bits} | 0x8000U));
  }
}

TEST_CASE("halves overflow at 65520 and vanish at 2^-25") {
  CHECK(to_half(65504.0F) == half(0x7bff));
  CHECK(to_half(65519.996F) == half(0x7bff));
  CHECK(to_half(65520.0F) == half(0x7c00));
  CHECK(to_half(-1e30F) == half(0xfc00));
  CHECK(to_half(0x1p-24F) == half(1));
  CHECK(to_half(0x1p-25F) == half(0));
  CHECK(to_half(0x1.000002p-25F) == half(1));
  CHECK(to_half(-0.0F) == half(0x8000));
  CHECK(to_half(std::numeric_limits<float>::infinity()) == half(0x7c00));
  CHECK((unsigned{to_half(std::numeric_limits<float>::quiet_NaN()).bits} & 0x7fffU) > 0x7c00U);
}

TEST_CASE("spans of every length up to 40 are converted to the end and not beyond") {
  Rng rng(3);
  for (std::size_t n = 0; n <= 40; ++n) {
    CAPTURE(n);
    const std::vector<Half> halves = test::random_halves(rng, static_cast<std::int64_t>(n));
    std::vector<float> floats(n + 1, 99.0F);
    to_float(halves, std::span<float>(floats).first(n));
    for (std::size_t i = 0; i < n; ++i) {
      CHECK(floats[i] == to_float(halves[i]));
    }
    CHECK(floats[n] == 99.0F);
  }
}

TEST_CASE("a strided matrix is converted row by row") {
  const std::vector<Half> halves{half(0x3c00), half(0x4000), half(0x4200),
                                 half(0x4400), half(0x4500), half(0x4600)};
  std::vector<float> floats(4);
  to_float(MatrixView<Half>{halves.data(), 2, 2, 3}, matrix_ref(floats.data(), 2, 2));
  CHECK(floats == std::vector<float>{1.0F, 2.0F, 4.0F, 5.0F});
}

TEST_CASE("int8: the largest magnitude becomes 127 and every error is at most half a step") {
  const std::uint64_t seed = 5;
  CAPTURE(seed);
  Rng rng(seed);
  for (std::int64_t n = 1; n < 50; ++n) {
    const std::vector<float> row = test::random_floats(rng, n);
    std::vector<std::int8_t> codes(row.size());
    std::vector<float> back(row.size());
    const float scale = quantise_int8(row, codes);
    dequantise_int8(codes, scale, back);
    int largest = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
      CHECK(std::abs(back[i] - row[i]) <= scale * 0.50001F);
      largest = std::max(largest, std::abs(static_cast<int>(codes[i])));
    }
    CHECK(largest == 127);
  }
}

TEST_CASE("int8 by hand, a row of zeros, and a row so small that its scale is subnormal") {
  std::vector<std::int8_t> codes(4);
  CHECK(quantise_int8(std::vector<float>{-12.7F, 0.05F, 0.15F, 6.35F}, codes) == doctest::Approx(0.1));
  CHECK(codes[0] == -127);
  CHECK(codes[2] >= 1);
  CHECK(std::abs(codes[3] - 63) <= 1);
  CHECK(quantise_int8(std::vector<float>(4, 0.0F), codes) == 0.0F);
  CHECK(codes == std::vector<std::int8_t>(4, 0));
  quantise_int8(std::vector<float>{1e-43F, -2e-43F, 0.0F, 0.0F}, codes);
  CHECK(codes[1] == -127);
}

}  // namespace
}  // namespace kvr::kernels

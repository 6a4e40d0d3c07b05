#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <limits>

#include "sim/base/rng.hpp"
#include "sim/base/units.hpp"

namespace kvr::config {

namespace {

constexpr std::array kQuantities = {
    Quantity::none,  Quantity::bytes,      Quantity::seconds, Quantity::bytes_per_second,
    Quantity::hertz, Quantity::per_second, Quantity::joules,  Quantity::watts};

double value_of(std::string_view text, Quantity quantity) {
  const ParsedNumber parsed = parse_quantity(text, quantity);
  CAPTURE(text);
  REQUIRE_FALSE(parsed.failure.has_value());
  return parsed.value;
}

void check_round_trip(double value, Quantity quantity) {
  const std::string text = format_quantity(value, quantity);
  CAPTURE(text);
  CHECK(value_of(text, quantity) == value);
}

}  // namespace

TEST_CASE("quantities are read into SI as the compiler reads the literal") {
  CHECK(value_of("64MiB", Quantity::bytes) == 67108864.0);
  CHECK(value_of("1.5KiB", Quantity::bytes) == 1536.0);
  CHECK(value_of("0B", Quantity::bytes) == 0.0);
  CHECK(value_of("2kB", Quantity::bytes) == 2000.0);
  CHECK(value_of("25us", Quantity::seconds) == 25e-6);
  CHECK(value_of("0.3ms", Quantity::seconds) == 0.3e-3);
  CHECK(value_of("-1s", Quantity::seconds) == -1.0);
  CHECK(value_of("2.9GB/s", Quantity::bytes_per_second) == 2.9e9);
  CHECK(value_of("4GiB/s", Quantity::bytes_per_second) == 4294967296.0);
  CHECK(value_of("3.3GHz", Quantity::hertz) == 3.3e9);
  CHECK(value_of("110k/s", Quantity::per_second) == 110e3);
  CHECK(value_of("20TFLOPS", Quantity::per_second) == 20e12);
  CHECK(value_of("7.5pJ", Quantity::joules) == 7.5e-12);
  CHECK(value_of("350mW", Quantity::watts) == 0.35);
  CHECK(value_of("110k", Quantity::none) == 110e3);
  CHECK(value_of("1e-3", Quantity::none) == 1e-3);
  CHECK(value_of("1e3us", Quantity::seconds) == 1e-3);
}

TEST_CASE("numbers are what they look like") {
  CHECK(value_of(".5", Quantity::none) == 0.5);
  CHECK(value_of("-.5", Quantity::none) == -0.5);
  CHECK(value_of("5.", Quantity::none) == 5.0);
  CHECK(value_of("5.s", Quantity::seconds) == 5.0);
  CHECK(value_of("+5", Quantity::none) == 5.0);
  CHECK(value_of("+.5e+1ms", Quantity::seconds) == 5e-3);
  CHECK(value_of("5.e2", Quantity::none) == 500.0);
  CHECK(value_of("16 MiB", Quantity::bytes) == 16777216.0);
  CHECK(value_of("1e3 \t MiB", Quantity::bytes) == 1000.0 * 1048576.0);
  CHECK(value_of(".5GB/s", Quantity::bytes_per_second) == 0.5e9);
  CHECK(value_of("110 k", Quantity::none) == 110e3);
}

TEST_CASE("anything but a number and one unit is refused, and the reason told") {
  using F = ParseFailure;
  const auto failure = [](std::string_view text, Quantity quantity) {
    return parse_quantity(text, quantity).failure;
  };
  for (const char* text : {"",     "x",  "-",  "+", ".",    "-.",    "+-1",   "1e", ".e3",  "inf", "nan",
                           ".inf", " 1", "1 ", "B", "0x10", "1_000", "1,000", "~",  "true", "yes"}) {
    CAPTURE(text);
    CHECK((failure(text, Quantity::none).has_value()));
  }
  CHECK(failure("64", Quantity::bytes) == F::no_unit);
  CHECK(failure("64K", Quantity::bytes) == F::unknown_unit);
  CHECK(failure("64KB", Quantity::bytes) == F::unknown_unit);
  CHECK(failure("64mib", Quantity::bytes) == F::unknown_unit);
  CHECK(failure("64MiB ", Quantity::bytes) == F::unknown_unit);
  CHECK(failure(" 64MiB", Quantity::bytes) == F::not_a_number);
  CHECK(failure("64 ", Quantity::bytes) == F::unknown_unit);
  CHECK(failure("64 Mi B", Quantity::bytes) == F::unknown_unit);
  CHECK(failure("1_000B", Quantity::bytes) == F::unknown_unit);
  CHECK(failure("16x", Quantity::none) == F::unknown_unit);
  CHECK(failure("inf", Quantity::none) == F::not_a_number);
  CHECK(failure("1e400s", Quantity::seconds) == F::out_of_reach);
  CHECK(failure("1e99999999999s", Quantity::seconds) == F::out_of_reach);
  CHECK(failure("1e308GiB", Quantity::bytes) == F::out_of_reach);
}

TEST_CASE("values are written in the unit that is shortest") {
  CHECK(format_quantity(65536, Quantity::bytes) == "64KiB");
  CHECK(format_quantity(1000, Quantity::bytes) == "1kB");
  CHECK(format_quantity(0, Quantity::bytes) == "0B");
  CHECK(format_quantity(25e-6, Quantity::seconds) == "25us");
  CHECK(format_quantity(0.0125, Quantity::seconds) == "12.5ms");
  CHECK(format_quantity(0, Quantity::seconds) == "0s");
  CHECK(format_quantity(2.9e9, Quantity::bytes_per_second) == "2.9GB/s");
  CHECK(format_quantity(20e12, Quantity::per_second) == "20T/s");
  CHECK(format_quantity(0.35, Quantity::watts) == "350mW");
  CHECK(format_quantity(3, Quantity::none) == "3.0");
  CHECK(format_quantity(1e-9, Quantity::none) == "1.0e-9");
  CHECK(format_quantity(std::numeric_limits<double>::infinity(), Quantity::bytes) == "unlimited");
}

TEST_CASE("every finite number is written so that it is read back exactly") {
  constexpr std::uint64_t kSeed = 20240611;
  CAPTURE(kSeed);
  Rng rng(kSeed);
  for (int i = 0; i < 20'000; ++i) {
    const Quantity quantity = kQuantities[rng.below(kQuantities.size())];
    const double exponent = rng.uniform() * 40.0 - 20.0;
    const double sign = rng.below(2) == 0 ? 1.0 : -1.0;
    check_round_trip(sign * std::pow(10.0, exponent), quantity);
    check_round_trip(static_cast<double>(rng.below(1U << 30U)) * 4096.0, quantity);
    check_round_trip(std::round(rng.uniform() * 1000.0) / 10.0 * 1e-6, quantity);
  }
}

}  // namespace kvr::config

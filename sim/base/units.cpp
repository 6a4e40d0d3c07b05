#include "sim/base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr {

namespace {

constexpr std::array kMultipliers = {Unit{"k", 3, 0, false}, Unit{"M", 6, 0, false}, Unit{"G", 9, 0, false}};
constexpr std::array kBytes = {Unit{"B", 0, 0, true},    Unit{"kB", 3, 0, true},   Unit{"MB", 6, 0, true},
                               Unit{"GB", 9, 0, true},   Unit{"TB", 12, 0, true},  Unit{"KiB", 0, 10, true},
                               Unit{"MiB", 0, 20, true}, Unit{"GiB", 0, 30, true}, Unit{"TiB", 0, 40, true}};
constexpr std::array kSeconds = {Unit{"ns", -9, 0, true}, Unit{"us", -6, 0, true}, Unit{"ms", -3, 0, true},
                                 Unit{"s", 0, 0, true}};
constexpr std::array kBandwidths = {Unit{"B/s", 0, 0, true},    Unit{"kB/s", 3, 0, true},
                                    Unit{"MB/s", 6, 0, true},   Unit{"GB/s", 9, 0, true},
                                    Unit{"KiB/s", 0, 10, true}, Unit{"MiB/s", 0, 20, true},
                                    Unit{"GiB/s", 0, 30, true}};
constexpr std::array kHertz = {Unit{"Hz", 0, 0, true}, Unit{"kHz", 3, 0, true}, Unit{"MHz", 6, 0, true},
                               Unit{"GHz", 9, 0, true}};
constexpr std::array kRates = {
    Unit{"/s", 0, 0, true},       Unit{"k/s", 3, 0, true},   Unit{"M/s", 6, 0, true},
    Unit{"G/s", 9, 0, true},      Unit{"T/s", 12, 0, true},  Unit{"GFLOPS", 9, 0, false},
    Unit{"TFLOPS", 12, 0, false}, Unit{"GOPS", 9, 0, false}, Unit{"TOPS", 12, 0, false}};
constexpr std::array kJoules = {Unit{"pJ", -12, 0, true}, Unit{"nJ", -9, 0, true}, Unit{"uJ", -6, 0, true},
                                Unit{"mJ", -3, 0, true}, Unit{"J", 0, 0, true}};
constexpr std::array kWatts = {Unit{"mW", -3, 0, true}, Unit{"W", 0, 0, true}};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && is_digit(text[at])) {
    ++at;
  }
  return at;
}

/// Length of `[+-]?(digits[.digits*] | .digits)` at the start of `text`; 0 when there is none.
std::size_t mantissa_length(std::string_view text) {
  const std::size_t first = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
  const std::size_t whole = skip_digits(text, first);
  if (whole == text.size() || text[whole] != '.') {
    return whole > first ? whole : 0;
  }
  const std::size_t end = skip_digits(text, whole + 1);
  return end - first > 1 ? end : 0;
}

/// Length of `[eE][+-]?digits` at the start of `text`; 0 when there is none.
std::size_t exponent_length(std::string_view text) {
  if (text.empty() || (text[0] != 'e' && text[0] != 'E')) {
    return 0;
  }
  const std::size_t first = text.size() > 1 && (text[1] == '+' || text[1] == '-') ? 2 : 1;
  const std::size_t end = skip_digits(text, first);
  return end > first ? end : 0;
}

/// What stands behind the blanks that `text` begins with; all of it where nothing does.
std::string_view after_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? text : text.substr(first);
}

const Unit* find_unit(std::string_view name, Quantity quantity) {
  for (const Unit& unit : units_of(quantity)) {
    if (unit.name == name) {
      return &unit;
    }
  }
  return nullptr;
}

/// mantissa * 10^exponent, rounded once; nothing where it is beyond doubles.
std::optional<double> scaled(std::string_view mantissa, std::string_view exponent_text, int decimal) {
  int exponent = 0;
  if (!exponent_text.empty()) {
    exponent_text.remove_prefix(exponent_text.starts_with('+') ? 1 : 0);
    const auto read =
        std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
    if (read.ec != std::errc() || std::abs(exponent) > 10'000) {
      return std::nullopt;
    }
  }
  const std::string text = fmt::format("{}e{}", mantissa, exponent + decimal);
  double value = 0.0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() ? std::optional(value) : std::nullopt;
}

/// The shortest decimal digits of a finite number: 0.digits * 10^point.
struct Decimal {
  bool negative;
  std::string digits;
  int point;
};

Decimal shortest_decimal(double value) {
  std::array<char, 64> buffer{};
  const auto written =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  std::string_view text(buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data()));
  Decimal decimal{std::signbit(value), {}, 0};
  text.remove_prefix(decimal.negative ? 1 : 0);
  const std::size_t e = text.find('e');
  for (const char c : text.substr(0, e)) {
    if (c != '.') {
      decimal.digits.push_back(c);
    }
  }
  decimal.point = std::stoi(std::string(text.substr(e + 1))) + 1;
  return decimal;
}

/// Plain notation where it is short, otherwise with an exponent; always with a point when `with_point`.
std::string write_decimal(const Decimal& decimal, bool with_point) {
  const auto& digits = decimal.digits;
  const auto count = static_cast<int>(digits.size());
  std::string text = decimal.negative ? "-" : "";
  if (digits == "0") {
    text += '0';
  } else if (decimal.point > 18 || decimal.point < -5) {
    text += digits.substr(0, 1) + '.' + (count > 1 ? digits.substr(1) : "0");
    return text + fmt::format("e{:+d}", decimal.point - 1);
  } else if (decimal.point <= 0) {
    return text + "0." + std::string(static_cast<std::size_t>(-decimal.point), '0') + digits;
  } else if (decimal.point < count) {
    const auto split = static_cast<std::size_t>(decimal.point);
    return text + digits.substr(0, split) + '.' + digits.substr(split);
  } else {
    text += digits + std::string(static_cast<std::size_t>(decimal.point - count), '0');
  }
  return with_point ? text + ".0" : text;
}

std::string write_in(double value, const Unit& unit) {
  Decimal decimal = shortest_decimal(std::ldexp(value, -unit.binary));
  decimal.point -= value == 0.0 ? 0 : unit.decimal;
  return write_decimal(decimal, false) + std::string(unit.name);
}

}  // namespace

std::span<const Unit> units_of(Quantity quantity) {
  switch (quantity) {
    case Quantity::none:
      return kMultipliers;
    case Quantity::bytes:
      return kBytes;
    case Quantity::seconds:
      return kSeconds;
    case Quantity::bytes_per_second:
      return kBandwidths;
    case Quantity::hertz:
      return kHertz;
    case Quantity::per_second:
      return kRates;
    case Quantity::joules:
      return kJoules;
    case Quantity::watts:
      return kWatts;
  }
  throw InternalError("a quantity without units");
}

std::string unit_names(Quantity quantity) {
  std::vector<std::string_view> names;
  for (const Unit& unit : units_of(quantity)) {
    names.push_back(unit.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

ParsedNumber parse_quantity(std::string_view text, Quantity quantity) {
  const std::size_t mantissa = mantissa_length(text);
  if (mantissa == 0) {
    return {.failure = ParseFailure::not_a_number};
  }
  const std::size_t exponent = exponent_length(text.substr(mantissa));
  const std::string_view name = after_blanks(text.substr(mantissa + exponent));
  static constexpr Unit kPlain{"", 0, 0, false};
  const Unit* unit = name.empty() && quantity == Quantity::none ? &kPlain : find_unit(name, quantity);
  if (unit == nullptr) {
    return {.failure = name.empty() ? ParseFailure::no_unit : ParseFailure::unknown_unit};
  }
  const std::string_view exponent_text = exponent == 0 ? "" : text.substr(mantissa + 1, exponent - 1);
  const std::size_t plus = text.starts_with('+') ? 1 : 0;
  const auto value = scaled(text.substr(plus, mantissa - plus), exponent_text, unit->decimal);
  if (!value || !std::isfinite(std::ldexp(*value, unit->binary))) {
    return {.failure = ParseFailure::out_of_reach};
  }
  return {.value = std::ldexp(*value, unit->binary), .failure = std::nullopt};
}

std::string format_quantity(double value, Quantity quantity) {
  if (std::isinf(value) && value > 0) {
    return "unlimited";
  }
  KVR_CHECK(std::isfinite(value), "{} cannot be written", value);
  if (quantity == Quantity::none) {
    return write_decimal(shortest_decimal(value), true);
  }
  std::string best;
  for (const Unit& unit : units_of(quantity)) {
    std::string text = unit.shown ? write_in(value, unit) : "";
    if (!text.empty() && (best.empty() || text.size() < best.size())) {
      best = std::move(text);
    }
  }
  return best;
}

}  // namespace kvr

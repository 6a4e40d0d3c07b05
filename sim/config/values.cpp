#include "sim/config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/base/units.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr::config {

namespace {

/// Integers with a unit or a multiplier pass through a double.
constexpr double kExactIntegers = bounds::kExactInteger;

/// One scalar on its way from text to value.
class Reader {
 public:
  Reader(const Node& node, const ParamSpec& spec, std::string_view key, Problems& problems)
      : node_(node), spec_(spec), key_(key), problems_(problems) {}

  std::optional<Value> read() {
    if (node_.kind != NodeKind::scalar) {
      return fail(node_.kind == NodeKind::null ? "has no value" : "is not a single value");
    }
    switch (spec_.type) {
      case ValueType::boolean:
        return read_boolean();
      case ValueType::integer:
        return read_integer();
      case ValueType::real:
        return read_real();
      case ValueType::text:
        return read_text();
    }
    return std::nullopt;
  }

 private:
  std::optional<Value> fail(std::string_view what) { return fail(what, describe_allowed(spec_)); }

  std::optional<Value> fail(std::string_view what, std::string_view allowed) {
    problems_.add(node_.mark, key_, fmt::format("{} ({}); allowed: {}", what, describe(node_), allowed));
    return std::nullopt;
  }

  std::optional<Value> read_boolean() {
    const bool known = !node_.quoted && (node_.text == "true" || node_.text == "false");
    if (!known) {
      return fail("is not a truth value");
    }
    return std::make_optional<Value>(node_.text == "true");
  }

  std::optional<Value> read_text() {
    const auto choices = choices_of(spec_.info);
    if (!choices.empty() && std::ranges::find(choices, node_.text) == choices.end()) {
      problems_.add(
          node_.mark, key_,
          fmt::format("is not a choice ({}); {}", describe(node_), suggestion(node_.text, choices)));
      return std::nullopt;
    }
    return std::make_optional<Value>(node_.text);
  }

  std::optional<Value> read_integer() {
    if (const auto exact = read_plain_integer()) {
      if (!in_range(static_cast<double>(*exact))) {
        return fail("is out of range");
      }
      return std::make_optional<Value>(*exact);
    }
    const auto number = read_number("is not an integer");
    if (!number) {
      return std::nullopt;
    }
    if (std::trunc(*number) != *number) {
      return fail("is not a whole number");
    }
    if (std::abs(*number) > kExactIntegers) {
      return fail("is too large", describe_exact_integers(spec_));
    }
    if (!in_range(*number)) {
      return fail("is out of range");
    }
    return std::make_optional<Value>(static_cast<std::int64_t>(*number));
  }

  /// Integers without unit keep all their 64 bits.
  std::optional<std::int64_t> read_plain_integer() const {
    std::int64_t value = 0;
    const char* end = node_.text.data() + node_.text.size();
    const bool signed_twice = node_.text.starts_with("+-");
    const char* begin = node_.text.data() + (node_.text.starts_with('+') && !signed_twice ? 1 : 0);
    const auto read = std::from_chars(begin, end, value);
    const bool plain = spec_.info.quantity == Quantity::none && !node_.quoted;
    return plain && read.ec == std::errc() && read.ptr == end ? std::optional(value) : std::nullopt;
  }

  std::optional<Value> read_real() {
    if (node_.text == "unlimited" && spec_.info.unlimited) {
      return std::make_optional<Value>(std::numeric_limits<double>::infinity());
    }
    const auto number = read_number("is not a number");
    if (!number) {
      return std::nullopt;
    }
    if (!in_range(*number)) {
      return fail("is out of range");
    }
    return std::make_optional<Value>(*number);
  }

  std::optional<double> read_number(std::string_view not_a_number) {
    const ParsedNumber parsed = parse_quantity(node_.text, spec_.info.quantity);
    const bool quoted_number = node_.quoted && spec_.info.quantity == Quantity::none;
    if (!parsed.failure && !quoted_number) {
      return parsed.value;
    }
    if (quoted_number || *parsed.failure == ParseFailure::not_a_number) {
      fail(not_a_number);
    } else if (*parsed.failure == ParseFailure::out_of_reach) {
      fail("is beyond what a double holds");
    } else if (*parsed.failure == ParseFailure::no_unit) {
      fail("has no unit");
    } else {
      fail(spec_.info.quantity == Quantity::none ? not_a_number : "has an unknown unit");
    }
    return std::nullopt;
  }

  bool in_range(double value) const {
    const ParamDoc& info = spec_.info;
    return value <= info.max && (info.above_min ? value > info.min : value >= info.min);
  }

  const Node& node_;
  const ParamSpec& spec_;
  std::string_view key_;
  Problems& problems_;
};

}  // namespace

std::optional<Value> read_value(const Node& node, const ParamSpec& spec, std::string_view key,
                                Problems& problems) {
  return Reader(node, spec, key, problems).read();
}

}  // namespace kvr::config

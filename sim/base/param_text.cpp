#include "sim/base/param_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/base/units.hpp"

namespace kvr {
namespace {

/// Whether `max` leaves out no value that the parameter could hold.
bool holds_all(const ParamSpec& spec) {
  return spec.info.max >= (spec.info.quantity == Quantity::none ? bounds::kInteger : bounds::kExactInteger);
}

std::string format_bound(double bound, const ParamSpec& spec) {
  const bool plain = spec.info.quantity == Quantity::none && std::abs(bound) <= bounds::kExactInteger;
  return plain && std::trunc(bound) == bound ? fmt::format("{:.0f}", bound)
                                             : format_quantity(bound, spec.info.quantity);
}

std::string describe_type(const ParamSpec& spec) {
  const bool quantity = spec.info.quantity != Quantity::none;
  switch (spec.type) {
    case ValueType::boolean:
      return "true or false";
    case ValueType::integer:
      return quantity ? fmt::format("a whole number with a unit ({})", unit_names(spec.info.quantity))
                      : "an integer";
    case ValueType::real:
      return quantity ? fmt::format("a number with a unit ({})", unit_names(spec.info.quantity)) : "a number";
    case ValueType::text:
      return spec.info.choices.empty() ? "a text" : fmt::format("{}", fmt::join(choices_of(spec.info), ", "));
  }
  return "";
}

/// `min` and `max` in words; empty where neither is finite.
std::string describe_bounds(double min, double max, const ParamSpec& spec) {
  const std::string low = std::isfinite(min) ? format_bound(min, spec) : "";
  const std::string high = std::isfinite(max) ? format_bound(max, spec) : "";
  if (!low.empty() && !high.empty()) {
    return spec.info.above_min ? fmt::format("above {}, at most {}", low, high)
                               : fmt::format("{} to {}", low, high);
  }
  if (!low.empty()) {
    return fmt::format("{} {}", spec.info.above_min ? "above" : "at least", low);
  }
  return high.empty() ? "" : fmt::format("at most {}", high);
}

}  // namespace

std::vector<std::string_view> choices_of(const ParamDoc& info) {
  std::vector<std::string_view> words;
  std::string_view rest = info.choices;
  while (!rest.empty()) {
    const std::size_t bar = rest.find('|');
    words.push_back(rest.substr(0, bar));
    rest = bar == std::string_view::npos ? "" : rest.substr(bar + 1);
  }
  return words;
}

std::string describe_range(const ParamSpec& spec) {
  const bool any = spec.type == ValueType::integer && holds_all(spec);
  return describe_bounds(spec.info.min, any ? std::numeric_limits<double>::infinity() : spec.info.max, spec);
}

std::string describe_allowed(const ParamSpec& spec) {
  const std::string range = describe_range(spec);
  return fmt::format("{}{}{}{}", describe_type(spec), range.empty() ? "" : ", ", range,
                     spec.info.unlimited ? ", or unlimited" : "");
}

/// With the bounds that `describe_range` passes over.
std::string describe_exact_integers(const ParamSpec& spec) {
  const std::string range = describe_bounds(std::max(spec.info.min, -bounds::kExactInteger),
                                            std::min(spec.info.max, bounds::kExactInteger), spec);
  const bool more_in_digits = spec.info.quantity == Quantity::none && holds_all(spec);
  return fmt::format(
      "{}, {}{}", describe_type(spec), range,
      more_in_digits ? fmt::format(", or to {} in digits", std::numeric_limits<std::int64_t>::max()) : "");
}

std::string format_value(const Value& value, const ParamSpec& spec) {
  if (const auto* truth = std::get_if<bool>(&value)) {
    return *truth ? "true" : "false";
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    return spec.info.quantity == Quantity::none
               ? std::to_string(*whole)
               : format_quantity(static_cast<double>(*whole), spec.info.quantity);
  }
  if (const auto* real = std::get_if<double>(&value)) {
    return format_quantity(*real, spec.info.quantity);
  }
  return std::get<std::string>(value);
}

}  // namespace kvr

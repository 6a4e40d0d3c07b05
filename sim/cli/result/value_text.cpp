#include "sim/cli/result/value_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/hdf5.hpp"

namespace kvr::cli {
namespace {

struct Prefix {
  double factor;
  std::string_view name;
};

constexpr std::array kSmall{Prefix{1.0, ""}, Prefix{1e-3, "m"}, Prefix{1e-6, "u"}, Prefix{1e-9, "n"}};
constexpr std::array kLarge{Prefix{1e12, "T"}, Prefix{1e9, "G"}, Prefix{1e6, "M"}, Prefix{1e3, "k"},
                            Prefix{1.0, ""}};

/// With the largest prefix that leaves at least 1, or the smallest one below that.
template <std::size_t count>
std::string scaled(double value, const std::array<Prefix, count>& prefixes, std::string_view unit) {
  if (value == 0.0) {
    return fmt::format("0 {}", unit);
  }
  const auto found = std::ranges::find_if(
      prefixes, [value](const Prefix& prefix) { return std::abs(value) >= prefix.factor; });
  const Prefix& prefix = found == prefixes.end() ? prefixes.back() : *found;
  return fmt::format("{:.4g} {}{}", value / prefix.factor, prefix.name, unit);
}

}  // namespace

std::string value_text(double value, std::string_view unit) {
  if (std::isnan(value)) {
    return "-";
  }
  if (unit == "s" || unit == "J") {
    return scaled(value, kSmall, unit);
  }
  return unit == "B" || unit == "B/s" ? scaled(value, kLarge, unit) : fmt::format("{:.4g}", value);
}

std::string printable(std::string_view text) {
  return hdf5::shown(text, text.size() + 1);
}

}  // namespace kvr::cli

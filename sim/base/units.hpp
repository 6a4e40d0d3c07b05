#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/base/params.hpp"

namespace kvr {

/// value = number * 10^decimal * 2^binary, in SI.
struct Unit {
  std::string_view name;
  int decimal;
  int binary;
  bool shown;  ///< used when values are written back
};

/// Units of a quantity; for `none`, which needs no unit, the multipliers k, M and G.
std::span<const Unit> units_of(Quantity quantity);
/// "ns, us, ms, s".
std::string unit_names(Quantity quantity);

enum class ParseFailure { not_a_number, no_unit, unknown_unit, out_of_reach };
struct ParsedNumber {
  double value = 0.0;
  std::optional<ParseFailure> failure;
};
/// Reads the whole of `text`: a decimal number (`16`, `+.5`, `5.`, `1e3`), blanks if any, and a unit. Decimal
/// units round once, correctly; binary ones never.
ParsedNumber parse_quantity(std::string_view text, Quantity quantity);

/// The shortest text that `parse_quantity` turns back into exactly `value`; infinity is `unlimited`.
std::string format_quantity(double value, Quantity quantity);

}  // namespace kvr

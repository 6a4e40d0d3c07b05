#pragma once

#include <string>
#include <string_view>

namespace kvr::cli {

/// Four significant digits, with a prefix where `unit` takes one: "12.94 ms", "3.146 MB", "0.613"; "-" where
/// there is no value.
std::string value_text(double value, std::string_view unit);

/// `text` of a file on one line that a terminal shows as it is.
std::string printable(std::string_view text);

}  // namespace kvr::cli

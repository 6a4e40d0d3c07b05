#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kvr::config {

/// The first byte of a text that no text has.
struct BadByte {
  std::size_t at = 0;
  std::string what;  ///< "not UTF-8 (byte 0xef)", "a control character (byte 0x00)"
};

/// Looks for what is not UTF-8 (RFC 3629) and for control characters other than tab, line feed and carriage
/// return, which YAML 1.2 does not admit either.
std::optional<BadByte> find_bad_byte(std::string_view text);

}  // namespace kvr::config

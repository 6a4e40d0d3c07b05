#include "sim/config/text/text_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace kvr::config {

namespace {

unsigned char byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

/// Bytes of the sequence that `lead` begins; 0 when it begins none.
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xC2 && lead <= 0xDF) {
    return 2;
  }
  if (lead >= 0xE0 && lead <= 0xEF) {
    return 3;
  }
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/// Whether `second` may follow `lead`: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool may_follow(unsigned char lead, unsigned char second) {
  const unsigned char lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  return second >= lowest && second <= highest;
}

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

bool is_sequence(std::string_view text, std::size_t at, std::size_t length) {
  const std::string_view sequence = text.substr(at, length);
  return length > 0 && sequence.size() == length &&
         (length == 1 || may_follow(byte_at(text, at), byte_at(text, at + 1))) &&
         std::ranges::all_of(sequence.substr(1), is_continuation);
}

bool is_control(unsigned char c) {
  return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
}

}  // namespace

std::optional<BadByte> find_bad_byte(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const unsigned char lead = byte_at(text, at);
    const std::size_t length = sequence_length(lead);
    if (!is_sequence(text, at, length)) {
      return BadByte{at, fmt::format("not UTF-8 (byte 0x{:02x})", lead)};
    }
    if (is_control(lead)) {
      return BadByte{at, fmt::format("a control character (byte 0x{:02x})", lead)};
    }
    at += length;
  }
  return std::nullopt;
}

}  // namespace kvr::config

#include "models/flash/fit/fio/size.hpp"

#include <charconv>
#include <limits>
#include <string>

namespace kvr::flash::fit {

std::optional<std::int64_t> parse_fio_size(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number <= 0) {
    return std::nullopt;
  }
  std::string suffix;
  for (const char c : text.substr(static_cast<std::size_t>(end - text.data()))) {
    suffix += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  if (suffix.size() == 2 && suffix.back() == 'b') {
    suffix.pop_back();
  }
  constexpr std::string_view kPrefixes = "kmgt";
  int shift = 0;
  if (!suffix.empty() && suffix != "b") {
    const std::size_t at = suffix.size() == 1 ? kPrefixes.find(suffix[0]) : std::string_view::npos;
    if (at == std::string_view::npos) {
      return std::nullopt;
    }
    shift = 10 * static_cast<int>(at + 1);
  }
  if (number > std::numeric_limits<std::int64_t>::max() >> shift) {
    return std::nullopt;
  }
  return number << shift;
}

}  // namespace kvr::flash::fit

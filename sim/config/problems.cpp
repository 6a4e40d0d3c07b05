#include "sim/config/problems.hpp"

#include <fmt/format.h>

#include <set>

#include "sim/error.hpp"

namespace kvr::config {

std::string to_string(const Mark& mark) {
  if (mark.is_default()) {
    return "default";
  }
  return mark.in_file() ? fmt::format("{}:{}:{}", mark.file, mark.line, mark.column) : mark.file;
}

void Problems::add(const Mark& mark, std::string_view key, std::string_view text) {
  lines_.push_back({mark, std::string(key), std::string(text)});
}

void Problems::add_fatal(const Mark& mark, std::string_view key, std::string_view text) {
  add(mark, key, text);
  fatal_ = true;
}

void Problems::throw_if_any() const {
  std::vector<std::string> messages;
  for (const Line& line : std::set<Line>(lines_.begin(), lines_.end())) {
    const std::string key = line.key.empty() ? "" : line.key + ": ";
    messages.push_back(fmt::format("{}: {}{}", to_string(line.mark), key, line.text));
  }
  if (!messages.empty()) {
    throw InputError(std::move(messages));
  }
}

}  // namespace kvr::config

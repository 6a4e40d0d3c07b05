#include "sim/config/text/problems.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr::config {

namespace {

constexpr std::size_t kMaxLines = 1000;

}  // namespace

std::string to_string(const Mark& mark) {
  if (mark.is_default()) {
    return "default";
  }
  return mark.in_file() ? fmt::format("{}:{}:{}", mark.file, mark.line, mark.column) : mark.file;
}

void Problems::add(const Mark& mark, std::string_view key, std::string_view text) {
  Line line{mark, std::string(key), std::string(text)};
  if (lines_.size() < kMaxLines) {
    lines_.insert(std::move(line));
  } else {
    more_ += lines_.contains(line) ? std::size_t{0} : 1;
  }
}

void Problems::add_fatal(const Mark& mark, std::string_view key, std::string_view text) {
  add(mark, key, text);
  fatal_ = true;
}

void Problems::add(const Problems& others) {
  for (const Line& line : others.lines_) {
    add(line.mark, line.key, line.text);
  }
  more_ += others.more_;
  fatal_ = fatal_ || others.fatal_;
}

void Problems::add_beside(const Problems& others, std::span<const std::string> keys) {
  for (const Line& line : others.lines_) {
    const bool is_below = std::ranges::any_of(
        keys, [&line](const std::string& key) { return line.key == key || line.key.starts_with(key + '.'); });
    if (!is_below) {
      add(line.mark, line.key, line.text);
    }
  }
  more_ += others.more_;
}

std::vector<std::string> Problems::messages() const {
  std::vector<std::string> messages;
  for (const Line& line : lines_) {
    const std::string key = line.key.empty() ? "" : line.key + ": ";
    messages.push_back(fmt::format("{}: {}{}", to_string(line.mark), key, line.text));
  }
  if (more_ > 0) {
    messages.push_back(fmt::format("and {} more", more_));
  }
  return messages;
}

void Problems::throw_if_any() const {
  if (!none()) {
    throw InputError(messages());
  }
}

}  // namespace kvr::config

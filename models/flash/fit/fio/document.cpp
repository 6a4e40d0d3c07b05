// The document is found by its braces first. Then twice over it: the first time nothing is kept but the way
// down to the value at hand, so that whatever is wrong can be named before the document is made.
#include "models/flash/fit/fio/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace kvr::flash::fit {
namespace {

using Json = nlohmann::json;

constexpr int kNumberOutOfRange = 406;  // "number overflow", of the library's documented exceptions

/// "file:line:column" of the byte at `offset`; that of an early end lies behind the text.
std::string place_in(const std::string& file, std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t last_break = before.rfind('\n');
  const std::size_t start = last_break == std::string_view::npos ? 0 : last_break + 1;
  return fmt::format("{}:{}:{}", file, 1 + std::ranges::count(before, '\n'), before.size() - start + 1);
}

/// Where the first line from `from` on that begins with '{' does; npos if none does.
std::size_t find_object_line(std::string_view text, std::size_t from) {
  while (from < text.size() && text[from] != '{') {
    const std::size_t line_end = text.find('\n', from);
    from = line_end == std::string_view::npos ? text.size() : line_end + 1;
  }
  return from < text.size() ? from : std::string_view::npos;
}

/// Behind the object that begins at `begin`; the end of the text if it is not closed.
std::size_t end_of_object(std::string_view text, std::size_t begin) {
  std::int64_t open = 0;
  bool in_text = false;
  for (std::size_t at = begin; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\\' && in_text) {
      ++at;
    } else if (c == '"') {
      in_text = !in_text;
    } else if (!in_text && (c == '{' || c == '}')) {
      open += c == '{' ? 1 : -1;
      if (open == 0) {
        return at + 1;
      }
    }
  }
  return text.size();
}

/// The part of a text that is the document.
struct Extent {
  std::size_t begin;
  std::size_t end;
};

/// All of a text that no line of which begins an object: whatever it is, a message can say where.
Extent extent_of(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  const std::size_t mark = text.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  const std::size_t begin = find_object_line(text, mark);
  return begin == std::string_view::npos ? Extent{0, text.size()} : Extent{begin, end_of_object(text, begin)};
}

/// Reports the first thing that is wrong.
class Checker final : public nlohmann::json_sax<Json> {
 public:
  /// The document is `text` from `begin` on.
  Checker(const std::string& file, std::string_view text, std::size_t begin,
          std::vector<std::string>& problems)
      : file_(file), text_(text), begin_(begin), problems_(problems) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(std::int64_t) override { return value(); }
  bool number_unsigned(std::uint64_t) override { return value(); }
  bool number_float(double, const std::string&) override { return value(); }
  bool string(std::string&) override { return value(); }
  bool binary(Json::binary_t&) override { return value(); }

  bool start_object(std::size_t) override { return enter(false); }
  bool key(std::string& name) override {
    levels_.back().key = name;
    return true;
  }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(true); }
  bool end_array() override { return leave(); }

  bool parse_error(std::size_t end, const std::string& token, const Json::exception& error) override {
    if (error.id != kNumberOutOfRange) {
      problems_.push_back(
          fmt::format("{}: not JSON; allowed: what fio writes with --output-format=json --output=FILE",
                      place_of(std::max<std::size_t>(end, 1) - 1)));
      return false;
    }
    value();
    const std::string place = place_of(end - std::min(end, token.size()));
    const std::string where = path(levels_);
    problems_.push_back(fmt::format("{}: {}{}'{}' is beyond what a double holds; allowed: below 1.8e308",
                                    place, where, where.empty() ? "" : ": ", shortened(token)));
    return false;
  }

 private:
  /// A list or an object on the way down, and where in it.
  struct Level {
    bool is_list;
    std::int64_t index;
    std::string key;
  };

  bool value() {
    if (!levels_.empty()) {
      ++levels_.back().index;
    }
    return true;
  }

  bool enter(bool is_list) {
    value();
    if (levels_.size() == kMostJsonLevels) {
      constexpr std::size_t kShown = 3;
      problems_.push_back(fmt::format("{}: {}: nested too deeply; allowed: {} levels", file_,
                                      path(std::span(levels_).first(kShown)), kMostJsonLevels));
      return false;
    }
    levels_.push_back({is_list, -1, {}});
    return true;
  }

  bool leave() {
    levels_.pop_back();
    return true;
  }

  /// "jobs[3].read.iops"
  static std::string path(std::span<const Level> levels) {
    std::string text;
    for (const Level& level : levels) {
      text += level.is_list  ? fmt::format("[{}]", level.index)
              : text.empty() ? shortened(level.key)
                             : fmt::format(".{}", shortened(level.key));
    }
    return text;
  }

  /// Of a byte of the document.
  std::string place_of(std::size_t offset) const { return place_in(file_, text_, begin_ + offset); }

  const std::string& file_;
  std::string_view text_;
  std::size_t begin_;
  std::vector<std::string>& problems_;
  std::vector<Level> levels_;
};

}  // namespace

std::optional<Json> parse_fio_document(const std::string& file, std::string_view text,
                                       std::vector<std::string>& problems) {
  const auto [begin, end] = extent_of(text);
  const std::string_view document = text.substr(begin, end - begin);
  Checker checker(file, text.substr(0, end), begin, problems);
  if (!Json::sax_parse(document, &checker)) {
    return std::nullopt;
  }
  if (const std::size_t second = find_object_line(text, end); second != std::string_view::npos) {
    problems.push_back(
        fmt::format("{}: a second document begins here; allowed: one in a file, with notes before and behind",
                    place_in(file, text, second)));
    return std::nullopt;
  }
  return Json::parse(document);
}

std::string shortened(std::string_view text) {
  constexpr std::size_t kMost = 40;
  const auto continues = [&](std::size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U;
  };
  std::size_t length = kMost;
  if (text.size() <= kMost) {
    return std::string(text);
  }
  while (length > 0 && continues(length)) {  // inside a character of UTF-8
    --length;
  }
  return fmt::format("{}...", text.substr(0, length));
}

}  // namespace kvr::flash::fit

#pragma once

#include <compare>
#include <cstddef>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvr::config {

/// Where something was said. `line` and `column` count from 1; line 0: the place has none (`--set a.b`);
/// an empty file: nobody said it, it is a default.
struct Mark {
  std::string file;
  int line = 0;
  int column = 0;

  bool is_default() const { return file.empty(); }
  bool in_file() const { return line > 0; }
  friend auto operator<=>(const Mark&, const Mark&) = default;
};
std::string to_string(const Mark& mark);

/// Everything found wrong so far. Reading goes on after a problem so that all are reported at once.
class Problems {
 public:
  void add(const Mark& mark, std::string_view key, std::string_view text);
  /// A problem that leaves the tree incomplete: checking it any further would report what is not there.
  void add_fatal(const Mark& mark, std::string_view key, std::string_view text);
  /// All that `others` has.
  void add(const Problems& others);
  /// The same, but what is at one of `keys` or below, and not that it leaves a tree incomplete.
  void add_beside(const Problems& others, std::span<const std::string> keys);
  bool fatal() const { return fatal_; }
  bool none() const { return lines_.empty(); }
  /// One line each, sorted by place and without doubles. Beyond the first thousand they are counted.
  std::vector<std::string> messages() const;
  /// Throws InputError with them, unless there are none.
  void throw_if_any() const;

 private:
  struct Line {
    Mark mark;
    std::string key;
    std::string text;
    friend auto operator<=>(const Line&, const Line&) = default;
  };
  std::set<Line> lines_;
  std::size_t more_ = 0;
  bool fatal_ = false;
};

}  // namespace kvr::config

#pragma once

#include <compare>
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
  friend auto operator<=>(const Mark&, const Mark&) = default;
};
std::string to_string(const Mark& mark);

/// Everything found wrong so far. Reading goes on after a problem so that all are reported at once.
class Problems {
 public:
  void add(const Mark& mark, std::string_view key, std::string_view text);
  /// A problem that leaves the tree incomplete: checking it any further would report what is not there.
  void add_fatal(const Mark& mark, std::string_view key, std::string_view text);
  bool empty() const { return lines_.empty(); }
  bool fatal() const { return fatal_; }
  /// Throws InputError with one line each, sorted by place and without doubles, unless there are none.
  void throw_if_any() const;

 private:
  struct Line {
    Mark mark;
    std::string key;
    std::string text;
    friend auto operator<=>(const Line&, const Line&) = default;
  };
  std::vector<Line> lines_;
  bool fatal_ = false;
};

enum class NodeKind { null, scalar, map, list };

/// One node of a YAML document. Keys keep their order; `mark` is the key's place, an element's own in a list.
struct Node {
  NodeKind kind = NodeKind::null;
  Mark mark;
  std::string key;             ///< empty for list elements and the root
  std::string text;            ///< of a scalar, as written, without quotes
  bool quoted = false;         ///< a quoted scalar is a text even where it looks like a number
  std::vector<Node> children;  ///< entries of a map, elements of a list

  const Node* find(std::string_view name) const;
  Node* find(std::string_view name);
};

/// Parses one document. Syntax errors, doubled keys, merge keys and tags are problems; an empty document is
/// an empty map. `file` is the name used in marks.
Node parse_yaml(std::string_view text, const std::string& file, Problems& problems);
Node read_yaml_file(const std::string& file, Problems& problems);

/// Lays `over` on `base`: maps are merged key by key, everything else is replaced. A map whose `type` differs
/// from the base's replaces it whole, because the parameters of one type mean nothing to another.
void merge(Node& base, Node over);

/// `a.b.0.c`: keys of maps, numbers of list elements.
std::vector<std::string> split_path(std::string_view path);
/// Merges `value` into the node at `path`, making maps on the way. `value.mark` says who asked for it.
void set_path(Node& root, std::string_view path, Node value, Problems& problems);
/// `KEY=VALUE` of the command line, VALUE in YAML.
void apply_setting(Node& root, std::string_view setting, Problems& problems);

}  // namespace kvr::config

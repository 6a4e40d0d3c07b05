#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/config/text/problems.hpp"

namespace kvr::config {

enum class NodeKind { null, scalar, map, list };

/// One node of a YAML document. Keys keep their order; `mark` is the key's place, an element's own in a list.
struct Node {
  NodeKind kind = NodeKind::null;
  Mark mark = {};
  std::string key = {};             ///< empty for list elements and the root
  std::string text = {};            ///< of a scalar, as written, without quotes
  bool quoted = false;              ///< a quoted scalar is a text even where it looks like a number
  bool is_whole = false;            ///< replaces what it is merged into, as a list does
  bool shares_parameters = false;   ///< a component whose parameters mean the same to every type
  bool is_unread = false;           ///< stands for a file that cannot be read, which has been told
  std::vector<Node> children = {};  ///< entries of a map, elements of a list

  const Node* find(std::string_view name) const;
  Node* find(std::string_view name);
  /// Removes the child called `name` and returns it; a null node when there is none.
  Node take(std::string_view name);
};

Node scalar_node(std::string key, std::string text, const Mark& mark);

/// Short form for messages: a scalar's text or the begin of a long one, otherwise what kind of node it is.
std::string describe(const Node& node);

/// Of one file or setting; the largest configuration that ships has 3 kB.
inline constexpr std::size_t kMaxTextBytes = std::size_t{1} << 20;

/// What reading one configuration may take, its includes and settings together: they, and what they are
/// included into, could multiply what each file is allowed.
struct ReadBudget {
  std::size_t files = 10'000;
  std::size_t bytes = std::size_t{64} << 20;
  std::size_t nodes = 1'000'000;
};

/// Parses one document; the only way to YAML. What is not UTF-8, syntax errors, doubled keys, merge keys and
/// tags are problems, as is a document too large: the limits hold while it is read. `file` is the name used
/// in marks.
Node parse_yaml(std::string_view text, const std::string& file, Problems& problems, ReadBudget& budget);

/// Lays `over` on `base`: maps are merged key by key, everything else is replaced. A map whose `type` differs
/// from the base's replaces it whole, because the parameters of one type mean nothing to another, unless the
/// types share them, as does an axis of a sweep, which is one thing however it is written.
void merge(Node& base, Node over);

/// `a.b.0.c`: keys of maps, numbers of list elements.
std::vector<std::string> split_path(std::string_view path);
std::string join_path(std::string_view parent, std::string_view key);
/// Merges `value` into the node at `path`, making maps on the way. `value.mark` says who asked for it.
void set_path(Node& root, std::span<const std::string> path, Node value, Problems& problems);

}  // namespace kvr::config

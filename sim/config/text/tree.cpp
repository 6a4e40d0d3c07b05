#include "sim/config/text/tree.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>
#include <utility>

namespace kvr::config {

namespace {

/// Whether the parameters of `base` mean nothing to what `over` chooses.
bool other_component(const Node& base, const Node& over) {
  const Node* ours = base.find("type");
  const Node* theirs = over.find("type");
  return ours != nullptr && theirs != nullptr && ours->text != theirs->text && !over.shares_parameters;
}

/// `text`, or its begin where it is longer than a message bears; never half of a character.
std::string shortened(std::string_view text) {
  constexpr std::size_t kMostBytes = 100;
  if (text.size() <= kMostBytes) {
    return std::string(text);
  }
  std::size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;
  }
  return fmt::format("{}...", text.substr(0, end));
}

std::optional<std::size_t> parse_index(std::string_view text) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(index) : std::nullopt;
}

/// The child of `node` that `part` names, made if it is a key that the map lacks; null after a problem.
Node* step_into(Node& node, const std::string& part, std::string_view path, const Mark& mark,
                Problems& problems) {
  if (node.kind == NodeKind::list) {
    const auto index = parse_index(part);
    if (!index || *index >= node.children.size()) {
      problems.add(
          mark, path,
          fmt::format("no such element ({}); allowed: {}", part,
                      node.children.empty() ? "none, the list is empty"
                                            : fmt::format("a number below {}", node.children.size())));
      return nullptr;
    }
    return &node.children[*index];
  }
  if (node.kind == NodeKind::scalar) {
    problems.add(
        mark, path,
        fmt::format("cannot set '{}' in a scalar ({}); allowed: keys of maps", part, describe(node)));
    return nullptr;
  }
  node.kind = NodeKind::map;
  if (Node* child = node.find(part)) {
    return child;
  }
  return &node.children.emplace_back(Node{.mark = mark, .key = part});
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  const auto found = std::ranges::find(children, name, &Node::key);
  return kind == NodeKind::map && found != children.end() ? &*found : nullptr;
}

Node* Node::find(std::string_view name) {
  const auto found = std::ranges::find(children, name, &Node::key);
  return kind == NodeKind::map && found != children.end() ? &*found : nullptr;
}

Node Node::take(std::string_view name) {
  const auto found = std::ranges::find(children, name, &Node::key);
  if (kind != NodeKind::map || found == children.end()) {
    return {};
  }
  Node taken = std::move(*found);
  children.erase(found);
  return taken;
}

Node scalar_node(std::string key, std::string text, const Mark& mark) {
  Node node;
  node.kind = NodeKind::scalar;
  node.mark = mark;
  node.key = std::move(key);
  node.text = std::move(text);
  return node;
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case NodeKind::null:
      return "nothing";
    case NodeKind::scalar:
      return shortened(node.text);
    case NodeKind::map:
      return "a map";
    case NodeKind::list:
      return "a list";
  }
  return "";
}

void merge(Node& base, Node over) {
  if (base.kind != NodeKind::map || over.kind != NodeKind::map || over.is_whole ||
      other_component(base, over)) {
    over.key = base.key;
    base = std::move(over);
    return;
  }
  // By key, because includes may merge maps of many thousands of points again and again.
  std::unordered_map<std::string, std::size_t> places;
  for (const Node& child : base.children) {
    places.emplace(child.key, places.size());
  }
  for (Node& child : over.children) {
    const auto [place, fresh] = places.try_emplace(child.key, base.children.size());
    if (fresh) {
      base.children.push_back(std::move(child));
    } else {
      merge(base.children[place->second], std::move(child));
    }
  }
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t dot = path.find('.', begin);
    parts.emplace_back(path.substr(begin, dot - begin));
    if (dot == std::string_view::npos) {
      return parts;
    }
    begin = dot + 1;
  }
}

std::string join_path(std::string_view parent, std::string_view key) {
  return parent.empty() ? std::string(key) : fmt::format("{}.{}", parent, key);
}

void set_path(Node& root, std::span<const std::string> path, Node value, Problems& problems) {
  Node* node = &root;
  std::string walked;
  for (const std::string& part : path) {
    walked = join_path(walked, part);
    node = step_into(*node, part, walked, value.mark, problems);
    if (node == nullptr) {
      return;
    }
  }
  merge(*node, std::move(value));
}

}  // namespace kvr::config

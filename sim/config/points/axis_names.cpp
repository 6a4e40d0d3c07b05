// A value: what is assigned, by its alias, else by its type or the stem of its file; what differs tells those
// apart that would be called the same. An axis: the last part of its key, or as many as tell it from the
// others.
#include "sim/config/points/axis_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>

#include "sim/config/text/grammar.hpp"
#include "sim/config/text/includes.hpp"

namespace kvr::config {
namespace {

namespace fs = std::filesystem;

/// The type of a component, the stem of a file, else the value.
std::string text_of(const AxisKey& key, const Node& value) {
  const Node* type = value.find("type");
  const Field* field = field_at(path_to(key.key, value));
  const bool is_file = field != nullptr && field->is_path;
  const std::string text = describe(type != nullptr ? *type : value);
  return is_file && value.kind == NodeKind::scalar ? fs::path(text).stem().string() : text;
}

using Leaves = std::map<std::string, std::string>;

/// The scalars in `node` by their dotted keys.
void collect_leaves(const Node& node, const std::string& path, Leaves& leaves) {
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Node& child = node.children[i];
    collect_leaves(child, join_path(path, node.kind == NodeKind::list ? std::to_string(i) : child.key),
                   leaves);
  }
  if (node.children.empty()) {
    leaves.emplace(path, describe(node));
  }
}

/// " entries=4": what of `leaves` not all the others have; where that is much, its number among all.
std::string what_differs(const Leaves& leaves, const std::map<std::string, std::set<std::string>>& values,
                         const std::map<std::string, std::size_t>& uses, std::size_t all,
                         std::size_t number) {
  constexpr std::size_t kMostTold = 4;
  std::vector<std::string> told;
  for (const auto& [key, value] : leaves) {
    if (values.at(key).size() > 1 || uses.at(key) < all) {
      told.push_back(fmt::format(" {}={}", key, value));
    }
  }
  return told.size() > kMostTold ? fmt::format(" #{}", number + 1) : fmt::format("{}", fmt::join(told, ""));
}

/// Of maps and lists that are called the same, texts say what differs.
void tell_apart(std::vector<Assignment*> same) {
  std::vector<Leaves> leaves(same.size());
  std::map<std::string, std::set<std::string>> values;
  std::map<std::string, std::size_t> uses;
  for (std::size_t i = 0; i < same.size(); ++i) {
    collect_leaves(same[i]->value, "", leaves[i]);
    for (const auto& [key, value] : leaves[i]) {
      values[key].insert(value);
      ++uses[key];
    }
  }
  for (std::size_t i = 0; i < same.size(); ++i) {
    const std::string differs = what_differs(leaves[i], values, uses, same.size(), i);
    const bool named = differs.empty() || same[i]->value.find("type") != nullptr;
    same[i]->after_equals = named;
    same[i]->text = named ? same[i]->text + differs : differs.substr(1);
  }
}

/// The last `parts` of a dotted key.
std::string tail_of(const std::string& key, std::size_t parts) {
  const std::vector<std::string> path = split_path(key);
  const std::size_t first = path.size() - std::min(parts, path.size());
  return fmt::format("{}", fmt::join(path.begin() + static_cast<std::ptrdiff_t>(first), path.end(), "."));
}

std::vector<AxisKey*> keys_of(std::vector<Axis>& axes) {
  std::vector<AxisKey*> keys;
  for (Axis& axis : axes) {
    std::ranges::transform(axis.keys, std::back_inserter(keys), [](AxisKey& key) { return &key; });
  }
  return keys;
}

}  // namespace

std::vector<std::string> path_to(const std::string& key, const Node& value) {
  std::vector<std::string> path = split_path(key);
  const Field* field = field_at(path);
  const Field* file = field != nullptr ? field->find("path") : nullptr;
  if (value.kind == NodeKind::scalar && file != nullptr && file->is_path) {
    path.push_back(file->name);
  }
  return path;
}

void call_values(Axis& axis, std::size_t key) {
  std::map<std::string, std::vector<Assignment*>> called;
  for (std::vector<Assignment>& together : axis.alternatives) {
    Assignment& one = together[key];
    one.text = text_of(axis.keys[key], one.value);
    if (one.value.kind == NodeKind::map || one.value.kind == NodeKind::list) {
      called[one.text].push_back(&one);
    }
  }
  for (const auto& [name, same] : called) {
    tell_apart(same);
  }
}

std::string label_of(const AxisKey& key, const Assignment& assignment) {
  return fmt::format("{}{}{}", key.name, assignment.after_equals ? "=" : " ", assignment.text);
}

void name_axes(std::vector<Axis>& axes, bool seeds, Problems& problems) {
  const std::vector<AxisKey*> keys = keys_of(axes);
  std::set<std::string> given;
  if (seeds) {
    given.insert("seed");
  }
  for (const AxisKey* key : keys) {
    if (key->named && !given.insert(key->name).second) {
      problems.add(key->mark, "name",
                   fmt::format("is of two axes ({}); allowed: a name for each", key->name));
    }
  }
  const auto clashes = [&](const AxisKey* key) {
    return given.contains(key->name) || std::ranges::any_of(keys, [key](const AxisKey* other) {
             return other != key && other->name == key->name;
           });
  };
  for (std::size_t parts = 1, longest = 1; parts <= longest; ++parts) {
    std::vector<AxisKey*> longer;
    for (AxisKey* key : keys) {
      longest = std::max(longest, split_path(key->key).size());
      if (!key->named && (parts == 1 || clashes(key))) {
        longer.push_back(key);
      }
    }
    std::ranges::for_each(longer, [parts](AxisKey* key) { key->name = tail_of(key->key, parts); });
  }
  for (const AxisKey* key : keys) {
    if (!key->named && clashes(key)) {
      problems.add(key->mark, key->key,
                   fmt::format("is called as another axis ({}); allowed: a name for one of them", key->name));
    }
  }
}

}  // namespace kvr::config

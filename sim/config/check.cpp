#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include "sim/base/param_text.hpp"
#include "sim/config/layers.hpp"
#include "sim/config/moved.hpp"
#include "sim/config/resolved.hpp"
#include "sim/config/text/grammar.hpp"
#include "sim/config/text/source.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/config/text/text_check.hpp"
#include "sim/config/tiers.hpp"
#include "sim/config/turns.hpp"
#include "sim/config/values.hpp"

namespace kvr::config {

namespace {

std::vector<std::string_view> names_of(const Catalogue::Kind& kind) {
  std::vector<std::string_view> names;
  for (const auto& [name, implementation] : kind) {
    names.push_back(name);
  }
  return names;
}

std::vector<std::string_view> keys_of(const Field& table) {
  std::vector<std::string_view> keys;
  for (const Field& field : table.fields) {
    if (!is_composition(field)) {
      keys.push_back(field.name);
    }
  }
  return keys;
}

/// Whether a component can be absent without a default in its place.
bool may_be_left_out(const Field& field) {
  return field.needed == Needed::unless_joint || field.needed == Needed::if_given;
}

/// Whether a table, value, list or component must be given at all.
bool is_required(const Field& field) {
  switch (field.shape) {
    case Shape::value:
      return field.spec.info.required;
    case Shape::component:
      return !may_be_left_out(field) && (field.default_type.empty() || field.needed != Needed::always);
    case Shape::list:
      return !field.may_lack;
    case Shape::table:
      return !may_be_left_out(field) && std::ranges::any_of(field.fields, is_required);
    default:
      return false;
  }
}

std::vector<std::string_view> required_keys_of(const Field& table) {
  std::vector<std::string_view> keys;
  for (const Field& field : table.fields) {
    if (is_required(field)) {
      keys.push_back(field.name);
    }
  }
  return keys;
}

const ParamSpec& type_spec() {
  static const ParamSpec spec{"type", ValueType::text, std::string(), {.doc = "name of the implementation"}};
  return spec;
}

/// The elements of a list with commas between them, as a text.
Node joined_text(const Node& list) {
  std::vector<std::string> texts;
  for (const Node& element : list.children) {
    texts.push_back(element.kind == NodeKind::scalar ? element.text : describe(element));
  }
  Node joined = list;
  joined.kind = NodeKind::scalar;
  joined.text = fmt::format("{}", fmt::join(texts, ", "));
  joined.children.clear();
  return joined;
}

class Checker {
 public:
  Checker(const Catalogue& catalogue, Problems& problems) : catalogue_(catalogue), problems_(problems) {}

  /// `node` is null where nothing is given; problems about that are reported at `parent`.
  Resolved check(const Field& field, const Node* node, const std::string& path, const Mark& parent) {
    Resolved resolved{.key = field.name, .mark = node != nullptr ? node->mark : Mark{}};
    if (node == nullptr && is_required(field) && is_needed(field)) {
      problems_.add(parent, path, fmt::format("is missing; required: {}", wanted(field)));
      return resolved;
    }
    switch (field.shape) {
      case Shape::value:
        check_value(field, node, path, resolved);
        break;
      case Shape::table:
        check_table(field, node, path, resolved);
        break;
      case Shape::component:
        check_component(field, node, path, parent, resolved);
        break;
      case Shape::list:
        check_list(field, node, path, resolved);
        break;
      case Shape::words:
        check_words(field, node, path, resolved);
        break;
      default:
        break;
    }
    return resolved;
  }

 private:
  std::string wanted(const Field& field) const {
    switch (field.shape) {
      case Shape::component:
        return fmt::format("a {}, one of {}", field.kind,
                           fmt::join(names_of(catalogue_.kind(field.kind)), ", "));
      case Shape::table:
        return fmt::format("a map with {}", fmt::join(required_keys_of(field), ", "));
      case Shape::list:
        return "a list";
      default:
        return describe_allowed(field.spec);
    }
  }

  void check_value(const Field& field, const Node* node, const std::string& path, Resolved& resolved) {
    if (field.is_numbers && node != nullptr && node->kind == NodeKind::list) {
      const Node joined = joined_text(*node);
      check_value(field, &joined, path, resolved);
      return;
    }
    resolve_value(field.spec, node, path, {}, resolved);
    const bool may_be_empty = !field.spec.info.required;
    if (field.is_path && node != nullptr && node->kind == NodeKind::scalar &&
        !(may_be_empty && node->text.empty())) {
      resolved.value = resolve_path(*node, path);
    }
    if (field.is_home && node != nullptr && table_ != nullptr) {
      check_home(*node, path);
    }
    if (field.is_numbers && node != nullptr && !parse_layers(std::get<std::string>(resolved.value))) {
      problems_.add(
          node->mark, path,
          fmt::format("is no list of {} ({}); allowed: all, or numbers and ranges with commas between "
                      "them, as 0..1, 2.. or 0..3,8",
                      field.spec.info.unit, describe(*node)));
    }
  }

  void check_home(const Node& node, const std::string& path) {
    const auto homes = homes_of_representatives(*table_);
    if (!node.text.empty() && std::ranges::find(homes, node.text) == homes.end()) {
      problems_.add(node.mark, path,
                    fmt::format("is no tier where representatives can live ({}); allowed: {}", describe(node),
                                fmt::join(homes, ", ")));
    }
  }

  /// The words are kept as one text.
  void check_words(const Field& field, const Node* node, const std::string& path, Resolved& resolved) {
    resolve_value(field.spec, nullptr, path, {}, resolved);
    if (node == nullptr) {
      return;
    }
    const bool is_list = node->kind == NodeKind::list;
    std::vector<std::string> given;
    for (const Node& one : is_list ? std::span(node->children) : std::span(node, 1)) {
      if (one.kind == NodeKind::scalar) {
        std::ranges::copy(words_of(one.text), std::back_inserter(given));
      } else {
        problems_.add(one.mark, path, fmt::format("is not a word ({})", describe(one)));
      }
    }
    const auto choices = choices_of(field.spec.info);
    for (const std::string& word : given) {
      if (std::ranges::find(choices, word) == choices.end()) {
        problems_.add(node->mark, path,
                      fmt::format("is not a choice ({}); {}", word, suggestion(word, choices)));
      }
    }
    if (given.empty() || std::set(given.begin(), given.end()).size() != given.size()) {
      problems_.add(
          node->mark, path,
          fmt::format("{}; allowed: one or more of {}, each once",
                      given.empty() ? "has no value" : "says something twice", fmt::join(choices, ", ")));
    }
    resolved.value = fmt::format("{}", fmt::join(given, ", "));
  }

  std::string resolve_path(const Node& node, const std::string& path) {
    if (node.text.empty()) {
      problems_.add(node.mark, path, "has no value (an empty text); allowed: a path");
    }
    const auto folder = node.mark.in_file() ? folder_of(node.mark.file) : "";
    const std::string resolved = (folder / node.text).lexically_normal().string();
    if (const auto bad = find_bad_byte(resolved)) {
      problems_.add(node.mark, path, fmt::format("its path is {}; allowed: text in UTF-8", bad->what));
    }
    return resolved;
  }

  void resolve_value(const ParamSpec& spec, const Node* node, const std::string& path, const Mark& parent,
                     Resolved& resolved) {
    resolved.kind = NodeKind::scalar;
    resolved.spec = spec;
    resolved.value = spec.default_value;
    if (node != nullptr) {
      resolved.value = read_value(*node, spec, path, problems_).value_or(spec.default_value);
    } else if (spec.info.required) {
      problems_.add(parent, path, fmt::format("is missing; required: {}", describe_allowed(spec)));
    }
  }

  void check_table(const Field& field, const Node* node, const std::string& path, Resolved& resolved) {
    const auto keys = keys_of(field);
    Node spelled_out{.kind = NodeKind::map};
    if (node != nullptr && node->kind == NodeKind::scalar && !field.shorthand.empty()) {
      spelled_out.mark = node->mark;
      spelled_out.children.push_back(*node);
      spelled_out.children.back().key = field.shorthand;
      node = &spelled_out;
    }
    if (node != nullptr && node->kind != NodeKind::map) {
      problems_.add(node->mark, path,
                    fmt::format("is not a map ({}); allowed: {}", describe(*node), fmt::join(keys, ", ")));
      return;
    }
    if (node != nullptr) {
      refuse_unknown_keys(*node, path, keys);
    }
    const Node* const outer = std::exchange(table_, node);
    for (const Field& inner : field.fields) {
      const Node* child = node != nullptr ? node->find(inner.name) : nullptr;
      if (!is_composition(inner) && !is_left_out(inner, child, join_path(path, inner.name))) {
        resolved.children.push_back(check(inner, child, join_path(path, inner.name), resolved.mark));
      }
    }
    table_ = outer;
  }

  /// Of the table that is being checked.
  bool is_left_out(const Field& field, const Node* given, const std::string& path) {
    const bool joint = table_ != nullptr && table_->find("joint") != nullptr;
    if (field.needed == Needed::unless_joint && joint && given != nullptr) {
      problems_.add(given->mark, path, "stands beside joint; allowed: either k and v, or joint");
    }
    return given == nullptr &&
           (field.needed == Needed::if_given || (field.needed == Needed::unless_joint && joint));
  }

  bool is_needed(const Field& field) const {
    return table_ == nullptr ||
           (field.needed == Needed::unless_taken ? !takes(*table_) : has_tiers_for(field.needed, *table_));
  }

  static bool takes(const Node& table) {
    const Node* take = table.find("take");
    return take != nullptr && !take->text.empty();
  }

  void check_list(const Field& field, const Node* node, const std::string& path, Resolved& resolved) {
    resolved.kind = NodeKind::list;
    if (node == nullptr) {
      return;
    }
    const std::size_t count = node->kind == NodeKind::list ? node->children.size() : 0;
    if (node->kind != NodeKind::list || count < field.min_items || count > field.max_items) {
      const std::string given =
          node->kind == NodeKind::list ? fmt::format("{} elements", count) : describe(*node);
      const std::string allowed = field.min_items == field.max_items
                                      ? std::to_string(field.min_items)
                                      : fmt::format("{} to {}", field.min_items, field.max_items);
      problems_.add(node->mark, path,
                    fmt::format("is not a list of that length ({}); allowed: {}", given, allowed));
      return;
    }
    for (std::size_t i = 0; i < count; ++i) {
      const Node& element = node->children[i];
      resolved.children.push_back(
          check(field.fields.front(), &element, join_path(path, std::to_string(i)), element.mark));
      resolved.children.back().key.clear();
    }
    if (field.rule == ListRule::tiers) {
      check_tiers(*node, resolved, path, problems_);
    } else if (field.rule == ListRule::turns) {
      check_turns(resolved, path, problems_);
    }
  }

  void check_component(const Field& field, const Node* given, const std::string& path, const Mark& parent,
                       Resolved& resolved) {
    Node by_default{.kind = NodeKind::map};
    by_default.children.push_back(scalar_node("type", field.default_type, {}));
    const Node& node = given != nullptr ? *given : by_default;
    const auto known = names_of(catalogue_.kind(field.kind));
    const Node* type = node.find("type");
    if (node.kind != NodeKind::map) {
      problems_.add(node.mark, path,
                    fmt::format("is not a component ({}); allowed: {}", describe(node), wanted(field)));
      return;
    }
    if (type == nullptr) {
      problems_.add(node.mark, join_path(path, "type"),
                    fmt::format("is missing; required: {}", wanted(field)));
      return;
    }
    const Implementation* chosen =
        type->kind == NodeKind::scalar ? catalogue_.find(field.kind, type->text) : nullptr;
    if (chosen == nullptr) {
      const Mark& mark = type->mark.is_default() ? parent : type->mark;
      problems_.add(
          mark, path,
          fmt::format("no such {} ({}); {}", field.kind, describe(*type), suggestion(type->text, known)));
      return;
    }
    check_params(*chosen, node, path, given != nullptr ? given->mark : parent, resolved);
  }

  void check_params(const Implementation& chosen, const Node& node, const std::string& path,
                    const Mark& place, Resolved& resolved) {
    std::vector<std::string_view> keys = {"type"};
    resolved.children.push_back({.key = "type",
                                 .mark = node.find("type")->mark,
                                 .kind = NodeKind::scalar,
                                 .spec = type_spec(),
                                 .value = chosen.name});
    for (const ParamSpec& spec : chosen.params) {
      keys.push_back(spec.name);
      const Node* child = node.find(spec.name);
      Resolved& value = resolved.children.emplace_back(
          Resolved{.key = spec.name, .mark = child != nullptr ? child->mark : Mark{}});
      resolve_value(spec, child, join_path(path, spec.name), place, value);
      if (spec.info.is_path && child != nullptr && child->kind == NodeKind::scalar &&
          (spec.info.required || !child->text.empty())) {
        value.value = resolve_path(*child, join_path(path, spec.name));
      }
    }
    refuse_unknown_keys(node, path, keys);
  }

  void refuse_unknown_keys(const Node& node, const std::string& path,
                           std::span<const std::string_view> known) {
    for (const Node& child : node.children) {
      if (std::ranges::find(known, child.key) == known.end()) {
        const std::string key = join_path(path, child.key);
        const std::string_view place = moved_to(key);
        problems_.add(child.mark, key,
                      place.empty()
                          ? fmt::format("unknown key ({}); {}", child.key, suggestion(child.key, known))
                          : fmt::format("is no key of a schedule; say it as {}", place));
      }
    }
  }

  const Catalogue& catalogue_;
  Problems& problems_;
  const Node* table_ = nullptr;  ///< that is being checked; null where none is given
};

}  // namespace

Resolved check(const Node& root, const Catalogue& catalogue, Problems& problems) {
  return check(root, root_grammar(), catalogue, problems);
}

Resolved check(const Node& root, const Field& grammar, const Catalogue& catalogue, Problems& problems) {
  return Checker(catalogue, problems).check(grammar, &root, "", root.mark);
}

}  // namespace kvr::config

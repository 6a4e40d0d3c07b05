#include "sim/config/includes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "sim/error.hpp"

namespace kvr::config {

namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.is_open() || stream.bad()) {
    throw SystemError(
        fmt::format("{}: cannot be read ({})", file.string(), std::generic_category().message(errno)));
  }
  return text;
}

class IncludeReader {
 public:
  IncludeReader(Problems& problems, const Catalogue& catalogue)
      : problems_(problems), catalogue_(catalogue) {}

  /// `asked` says where the file was asked for.
  Node read(const fs::path& file, const Mark& asked) {
    const std::string name = file.string();
    Node empty{.kind = NodeKind::map, .mark = {name, 1, 1}};
    if (!fs::is_regular_file(file)) {
      const std::string_view what = fs::exists(file) ? "is not a file" : "no such file";
      problems_.add_fatal(asked, asked.in_file() ? "include" : "", fmt::format("{} ({})", what, name));
      return empty;
    }
    if (!enter(file, asked)) {
      return empty;
    }
    files_.push_back(file);
    Node root = parse_yaml(read_text(file), name, problems_);
    if (root.kind == NodeKind::null) {
      root = std::move(empty);
    }
    if (root.kind != NodeKind::map) {
      problems_.add_fatal(root.mark, "",
                          fmt::format("is not a map ({}); allowed: keys and values", describe(root)));
    }
    expand_components(root, root_grammar(), catalogue_);
    resolve(root, file);
    open_.pop_back();
    return root;
  }

  std::vector<fs::path> take_files() { return std::move(files_); }

 private:
  bool enter(const fs::path& file, const Mark& asked) {
    const fs::path identity = fs::weakly_canonical(file);
    const bool cycle = std::ranges::find(open_, identity, &Open::identity) != open_.end();
    open_.push_back({identity, file.string()});
    if (cycle) {
      std::vector<std::string> names;
      std::ranges::transform(open_, std::back_inserter(names), &Open::name);
      problems_.add_fatal(asked, "include",
                          fmt::format("files include each other ({})", fmt::join(names, " -> ")));
      open_.pop_back();
    }
    return !cycle;
  }

  /// Puts what a file and its points include under them.
  void resolve(Node& root, const fs::path& file) {
    lay_on_includes(root, file);
    if (Node* points = root.find("points"); points != nullptr && points->kind == NodeKind::map) {
      for (Node& overlay : points->children) {
        // An overlay that came in by an include has been dealt with there.
        lay_on_includes(overlay, file);
      }
    }
  }

  void lay_on_includes(Node& node, const fs::path& file) {
    const Node include = node.take("include");
    if (include.mark.is_default()) {
      return;
    }
    Node base{.kind = NodeKind::map, .mark = node.mark, .key = node.key};
    for (const Node& name : include.kind == NodeKind::list ? include.children : std::vector<Node>{include}) {
      if (name.kind != NodeKind::scalar) {
        problems_.add_fatal(
            name.mark, "include",
            fmt::format("is not a file name ({}); allowed: a text or a list of texts", describe(name)));
        continue;
      }
      Node included = read((file.parent_path() / name.text).lexically_normal(), name.mark);
      merge(base, std::move(included));
    }
    merge(base, std::move(node));
    node = std::move(base);
  }

  struct Open {
    fs::path identity;
    std::string name;
  };

  Problems& problems_;
  const Catalogue& catalogue_;
  std::vector<Open> open_;
  std::vector<fs::path> files_;
};

void expand_axes(Node& axes, const Catalogue& catalogue) {
  for (Node& axis : axes.children) {
    const Field* field = field_at(split_path(axis.key));
    for (Node& value : axis.children) {
      if (field != nullptr && axis.kind == NodeKind::list) {
        expand_components(value, *field, catalogue);
      }
    }
  }
}

void expand_children(Node& node, const Field& field, const Catalogue& catalogue) {
  for (Node& child : node.children) {
    const Field* inner = field.shape == Shape::table  ? field.find(child.key)
                         : field.shape == Shape::list ? &field.fields.front()
                                                      : &root_grammar();
    if (inner != nullptr) {
      expand_components(child, *inner, catalogue);
    }
  }
}

}  // namespace

FileTree read_with_includes(const fs::path& file, Problems& problems, const Catalogue& catalogue) {
  IncludeReader reader(problems, catalogue);
  Node root = reader.read(file, {file.string()});
  return {std::move(root), reader.take_files()};
}

void expand_components(Node& node, const Field& field, const Catalogue& catalogue) {
  if (field.shape == Shape::component && node.kind == NodeKind::scalar) {
    Node type = scalar_node("type", node.text, node.mark);
    node.kind = NodeKind::map;
    node.text.clear();
    node.children.push_back(std::move(type));
  } else if (field.shape == Shape::axes) {
    expand_axes(node, catalogue);
  } else if (field.shape == Shape::table || field.shape == Shape::list || field.shape == Shape::overlays) {
    expand_children(node, field, catalogue);
  }
  node.shares_parameters = field.shape == Shape::component && catalogue.shares_parameters(field.kind);
}

const Field* field_at(std::span<const std::string> path) {
  const Field* field = &root_grammar();
  for (const std::string& part : path) {
    switch (field->shape) {
      case Shape::table:
        field = field->find(part);
        break;
      case Shape::list:
        field = &field->fields.front();
        break;
      case Shape::overlays:
        field = &root_grammar();
        break;
      default:
        field = nullptr;
    }
    if (field == nullptr) {
      return nullptr;
    }
  }
  return field;
}

}  // namespace kvr::config

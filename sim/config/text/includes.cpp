#include "sim/config/text/includes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/config/text/source.hpp"

namespace kvr::config {

namespace {

namespace fs = std::filesystem;

/// Included files of included files: deeper than anybody writes, and no burden to the stack.
constexpr std::size_t kMaxIncludeLevels = 64;

class IncludeReader {
 public:
  IncludeReader(Problems& problems, const Catalogue& catalogue)
      : problems_(&problems), catalogue_(catalogue) {}

  /// The file that was asked for itself, which may be a stream.
  FileTree read_root(const fs::path& file) {
    Node root = read(file, {file.string()}, is_stream(file));
    return {std::move(root), {files_.begin(), files_.end()}};
  }

  /// Puts the files under the axes that name them.
  void read_axes(Node& root, const fs::path& file) {
    for (const char* const name : {"sweep", "zip"}) {
      Node* axes = root.find(name);
      for (Node& axis : axes != nullptr && axes->kind == NodeKind::map ? axes->children : none_) {
        axis.is_whole = true;
        if (Node* points = axis.find("points"); points != nullptr && points->kind == NodeKind::map) {
          for (Node& overlay : points->children) {
            expand_components(overlay, root_grammar(), catalogue_);
            lay_on_includes(overlay, file);
          }
        } else {
          read_files_of(axis, file);
        }
      }
    }
  }

 private:
  /// `asked` says where the file was asked for.
  Node read(const fs::path& file, const Mark& asked, bool stream) {
    const std::string name = file.string();
    Node empty{.kind = NodeKind::map, .mark = {name, 1, 1}};
    if (!stream && !is_file(file, asked)) {
      return empty;
    }
    if (!spend_file(asked) || !enter(file, asked)) {
      return empty;
    }
    files_.insert(readable_name(file));
    Node root = parse(file, asked);
    if (root.kind == NodeKind::null) {
      root = std::move(empty);
    }
    if (root.kind != NodeKind::map) {
      problems_->add_fatal(root.mark, "",
                           fmt::format("is not a map ({}); allowed: keys and values", describe(root)));
    }
    read_axes(root, file);
    expand_components(root, root_grammar(), catalogue_);
    resolve(root, file);
    open_.pop_back();
    return root;
  }

  bool is_file(const fs::path& file, const Mark& asked) {
    std::error_code error;
    const fs::file_type type = fs::status(file, error).type();
    if (type != fs::file_type::regular) {
      const bool absent = type == fs::file_type::not_found;
      const std::string what = absent ? "no such file" : error ? error.message() : "is not a file";
      problems_->add_fatal(asked, include_key(asked), fmt::format("{} ({})", what, file.string()));
    }
    return type == fs::file_type::regular;
  }

  static std::string_view include_key(const Mark& asked) { return asked.in_file() ? "include" : ""; }

  Node parse(const fs::path& file, const Mark& asked) {
    const std::size_t most = std::min(kMaxTextBytes, budget_.bytes);
    const std::string text = read_text(file, most + 1);
    if (text.size() > most) {
      const std::string limit = most == kMaxTextBytes
                                    ? fmt::format("{} bytes", kMaxTextBytes)
                                    : fmt::format("{} bytes in all files", ReadBudget{}.bytes);
      problems_->add_fatal(asked, include_key(asked),
                           fmt::format("is too long ({}); allowed: {}", file.string(), limit));
      return {};
    }
    budget_.bytes -= text.size();
    return parse_yaml(text, file.string(), *problems_, budget_);
  }

  /// False, once reported, when too many files have been read.
  bool spend_file(const Mark& asked) {
    if (budget_.files == 0) {
      return false;
    }
    if (--budget_.files == 0) {
      problems_->add_fatal(
          asked, "include",
          fmt::format("too many files are included; allowed: {}, each as often as it is read",
                      ReadBudget{}.files));
    }
    return budget_.files > 0;
  }

  bool enter(const fs::path& file, const Mark& asked) {
    std::error_code unknown;
    const fs::path identity = fs::weakly_canonical(file, unknown);
    const bool cycle = std::ranges::find(open_, identity, &Open::identity) != open_.end();
    if (!cycle && open_.size() == kMaxIncludeLevels) {
      problems_->add_fatal(
          asked, "include",
          fmt::format("files include each other too deep; allowed: {} levels", kMaxIncludeLevels));
      return false;
    }
    open_.push_back({identity, file.string()});
    if (cycle) {
      std::vector<std::string> names;
      std::ranges::transform(open_, std::back_inserter(names), &Open::name);
      problems_->add_fatal(asked, "include",
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
        problems_->add_fatal(
            name.mark, "include",
            fmt::format("is not a file name ({}); allowed: a text or a list of texts", describe(name)));
        continue;
      }
      if (budget_.files == 0) {
        break;
      }
      Node included = read((folder_of(file) / name.text).lexically_normal(), name.mark, false);
      merge(base, std::move(included));
    }
    merge(base, std::move(node));
    node = std::move(base);
  }

  /// `device: [ufs40, mine.yaml]` becomes `device: {points: {ufs40: ..., mine: ...}}`, each with what its
  /// file has; an axis that names no file stays.
  void read_files_of(Node& axis, const fs::path& file) {
    const auto folder = kFolders.find(axis.key);
    Node* values = axis.kind == NodeKind::map ? axis.find("values") : &axis;
    if (folder == kFolders.end() || values == nullptr) {
      return;
    }
    const auto names_file = [&](const Node& value) {
      return value.kind == NodeKind::scalar && catalogue_.find(axis.key, value.text) == nullptr;
    };
    if (std::ranges::none_of(values->children, names_file)) {
      return;
    }
    Node points{.kind = NodeKind::map, .mark = axis.mark, .key = "points"};
    for (Node& value : values->children) {
      Node overlay = names_file(value) ? overlay_of_file(value, axis.key, folder->second, file)
                                       : overlay_of_value(value, axis.key);
      overlay.key = value.key.empty() ? name_of(value) : value.key;
      points.children.push_back(std::move(overlay));
    }
    if (axis.kind == NodeKind::map) {
      axis.take("values");
    } else {
      axis.children.clear();
      axis.kind = NodeKind::map;
    }
    axis.children.insert(axis.children.begin(), std::move(points));
  }

  static std::string name_of(const Node& value) {
    const Node* type = value.find("type");
    return fs::path(describe(type != nullptr ? *type : value)).stem().string();
  }

  Node overlay_of_value(Node value, const std::string& key) {
    Node overlay{.kind = NodeKind::map, .mark = value.mark};
    value.key = key;
    overlay.children.push_back(std::move(value));
    expand_components(overlay, root_grammar(), catalogue_);
    return overlay;
  }

  /// A file that cannot be read spoils this value of the axis alone: everything else is checked all the same.
  /// Only when too much has been read is the whole incomplete.
  Node overlay_of_file(const Node& value, const std::string& key, std::string_view folder,
                       const fs::path& file) {
    Problems own;
    Problems* const all = std::exchange(problems_, &own);
    Node overlay = read_overlay(value, key, folder, file);
    problems_ = all;
    if (own.fatal()) {
      overlay = {.kind = NodeKind::map, .mark = value.mark, .is_unread = true};
    }
    if (budget_.files == 0) {
      problems_->add(own);
    } else {
      problems_->add_beside(own, {});
    }
    return overlay;
  }

  Node read_overlay(const Node& value, const std::string& key, std::string_view folder,
                    const fs::path& file) {
    fs::path path = fs::path(value.text).extension() == ".yaml" ? folder_of(file) / value.text
                                                                : shipped(value.text, folder, file);
    if (path.empty()) {
      problems_->add_fatal(
          value.mark, key,
          fmt::format("is no file ({}); allowed: a path that ends in .yaml, or the name of a "
                      "file in {}/ or configs/{}/ beside this one or above it",
                      value.text, folder, folder));
      return {.kind = NodeKind::map, .mark = value.mark};
    }
    Node overlay = read(path.lexically_normal(), value.mark, false);
    for (const char* const of_whole : {"name", "description"}) {
      overlay.take(of_whole);
    }
    return overlay;
  }

  /// configs/FOLDER/NAME.yaml or FOLDER/NAME.yaml, in the folder of `file` or above; empty where there is
  /// none.
  static fs::path shipped(const std::string& name, std::string_view folder, const fs::path& file) {
    constexpr int kMostLevels = 32;
    fs::path above = folder_of(file).empty() ? fs::path(".") : folder_of(file);
    std::error_code ignored;
    for (int level = 0; level < kMostLevels; ++level) {
      for (const fs::path& found :
           {above / folder / (name + ".yaml"), above / "configs" / folder / (name + ".yaml")}) {
        if (fs::is_regular_file(found, ignored)) {
          return found;
        }
      }
      above /= "..";
    }
    return {};
  }

  /// Where files lie that describe what stands under a key of the root.
  inline static const std::map<std::string, std::string, std::less<>> kFolders{
      {"device", "devices"}, {"model", "models"}, {"phone", "phones"}, {"system", "systems"}};

  struct Open {
    fs::path identity;
    std::string name;
  };

  Problems* problems_;
  const Catalogue& catalogue_;
  ReadBudget budget_;
  std::vector<Open> open_;
  std::set<fs::path> files_;
  std::vector<Node> none_;
};

void expand_axes(Node& axes, const Catalogue& catalogue) {
  std::vector<Node> none;
  for (Node& axis : axes.children) {
    const Field* field = field_at(split_path(axis.key));
    Node* values = axis.kind == NodeKind::map ? axis.find("values") : &axis;
    for (Node& value : field != nullptr && values != nullptr ? values->children : none) {
      expand_components(value, *field, catalogue);
    }
    Node* points = axis.find("points");
    for (Node& overlay : points != nullptr ? points->children : none) {
      expand_components(overlay, root_grammar(), catalogue);
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
  return IncludeReader(problems, catalogue).read_root(file);
}

void read_axis_files(Node& root, const fs::path& file, Problems& problems, const Catalogue& catalogue) {
  IncludeReader(problems, catalogue).read_axes(root, file);
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

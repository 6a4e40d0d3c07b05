// points = (overlays or one without) x sweep (product, last axis fastest) x zip (one axis of several keys)
// each point: base <- overlay <- values of the axes <- --set
#include "sim/config/compose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/config/includes.hpp"
#include "sim/config/suggest.hpp"

namespace kvr::config {

namespace {

constexpr std::size_t kMaxPoints = 10'000;

/// One key given a value, by a sweep or by `--set`.
struct Assignment {
  std::vector<std::string> path;
  Node value;
};

/// What varies together: each alternative assigns the same keys.
struct Axis {
  std::vector<std::string> keys;
  Mark mark;
  std::vector<std::vector<Assignment>> alternatives;
};

struct Composition {
  Node points;
  Node sweep;
  Node zip;
};

void stamp(Node& node, const Mark& mark) {
  node.mark = mark;
  for (Node& child : node.children) {
    stamp(child, mark);
  }
}

/// Keys of `sweep` and `zip` are dotted themselves.
std::vector<std::string> split_setting_key(const std::string& key) {
  for (const std::string_view axes : {"sweep.", "zip."}) {
    if (key.starts_with(axes)) {
      return {key.substr(0, axes.size() - 1), key.substr(axes.size())};
    }
  }
  return split_path(key);
}

/// Components in the value, also in the list of an axis that is set alone.
void expand(Assignment& assignment, const Catalogue& catalogue) {
  if (const Field* field = field_at(assignment.path)) {
    expand_components(assignment.value, *field, catalogue);
  } else if (const Field* axes = root_grammar().find(assignment.path.front());
             axes != nullptr && axes->shape == Shape::axes) {
    Node map{.kind = NodeKind::map};
    assignment.value.key = assignment.path.back();
    map.children.push_back(std::move(assignment.value));
    expand_components(map, *axes, catalogue);
    assignment.value = std::move(map.children.front());
  }
}

std::vector<Assignment> parse_settings(std::span<const std::string> sets, const Catalogue& catalogue,
                                       Problems& problems) {
  std::vector<Assignment> assignments;
  for (const std::string& setting : sets) {
    const std::size_t equals = setting.find('=');
    const std::string key = setting.substr(0, equals);
    const Mark mark{"--set " + key};
    if (key.empty() || equals == std::string::npos) {
      problems.add_fatal(Mark{"--set"}, "",
                         fmt::format("is not KEY=VALUE ({}); allowed: run.seed=2", setting));
      continue;
    }
    Node value = parse_yaml(setting.substr(equals + 1), mark.file, problems);
    stamp(value, mark);
    Assignment& assignment = assignments.emplace_back(split_setting_key(key), std::move(value));
    expand(assignment, catalogue);
  }
  return assignments;
}

bool sets_composition(const Assignment& assignment) {
  const Field* field = root_grammar().find(assignment.path.front());
  return field != nullptr && is_composition(*field);
}

bool one_holds_the_other(std::string_view a, std::string_view b) {
  const std::string longer = fmt::format("{}.", a.size() < b.size() ? b : a);
  return longer.starts_with(fmt::format("{}.", a.size() < b.size() ? a : b));
}

/// The lists of a `sweep` or `zip` that are usable.
std::vector<const Node*> checked_axes(const Node& axes, std::string_view name, Problems& problems) {
  if (axes.mark.is_default()) {
    return {};
  }
  if (axes.kind != NodeKind::map || axes.children.empty()) {
    problems.add(axes.mark, name,
                 fmt::format("is not a map ({}); allowed: dotted keys with lists of values", describe(axes)));
    return {};
  }
  std::vector<const Node*> usable;
  for (const Node& axis : axes.children) {
    const bool composes =
        !split_path(axis.key).front().empty() && sets_composition({split_path(axis.key), {}});
    const std::string path = join_path(name, axis.key);
    if (axis.kind != NodeKind::list || axis.children.empty()) {
      problems.add(axis.mark, path,
                   fmt::format("is not a list of values ({}); allowed: at least one value in brackets",
                               axis.kind == NodeKind::list ? "an empty list" : describe(axis)));
    } else if (composes) {
      problems.add(axis.mark, path, fmt::format("cannot be varied ({}); allowed: keys of a point", axis.key));
    } else {
      usable.push_back(&axis);
    }
  }
  return usable;
}

Assignment assignment_of(const Node& axis, std::size_t index) {
  return {split_path(axis.key), axis.children[index]};
}

std::vector<Axis> sweep_axes(const Node& sweep, Problems& problems) {
  std::vector<Axis> axes;
  for (const Node* axis : checked_axes(sweep, "sweep", problems)) {
    Axis& made = axes.emplace_back(Axis{{axis->key}, axis->mark, {}});
    for (std::size_t i = 0; i < axis->children.size(); ++i) {
      made.alternatives.push_back({assignment_of(*axis, i)});
    }
  }
  return axes;
}

/// All lists of `zip` as one axis; none when there is no `zip`.
std::vector<Axis> zip_axis(const Node& zip, Problems& problems) {
  const std::vector<const Node*> lists = checked_axes(zip, "zip", problems);
  if (lists.empty()) {
    return {};
  }
  Axis axis{{}, zip.mark, {}};
  const std::size_t length = lists.front()->children.size();
  for (const Node* list : lists) {
    axis.keys.push_back(list->key);
    if (list->children.size() != length) {
      problems.add(list->mark, join_path("zip", list->key),
                   fmt::format("differs in length from {} ({}); allowed: {} values", lists.front()->key,
                               list->children.size(), length));
      return {};
    }
  }
  for (std::size_t i = 0; i < length; ++i) {
    auto& together = axis.alternatives.emplace_back();
    std::ranges::transform(lists, std::back_inserter(together),
                           [i](const Node* list) { return assignment_of(*list, i); });
  }
  return {std::move(axis)};
}

void refuse_overlaps(const std::vector<Axis>& axes, const std::vector<Assignment>& settings,
                     Problems& problems) {
  std::vector<std::pair<std::string, Mark>> keys;
  for (const Axis& axis : axes) {
    for (const std::string& key : axis.keys) {
      for (const auto& [other, mark] : keys) {
        if (one_holds_the_other(key, other)) {
          problems.add(axis.mark, key,
                       fmt::format("is varied twice ({}, {}); allowed: once", other, to_string(mark)));
        }
      }
      keys.emplace_back(key, axis.mark);
    }
  }
  for (const Assignment& setting : settings) {
    const std::string path = fmt::format("{}", fmt::join(setting.path, "."));
    for (const auto& [key, mark] : keys) {
      if (one_holds_the_other(path, key)) {
        problems.add(
            setting.value.mark, path,
            fmt::format("is varied by a sweep ({}); allowed: --set 'sweep.{}=[...]'", to_string(mark), key));
      }
    }
  }
}

std::string label(const Assignment& assignment) {
  const Node& value = assignment.value;
  const Node* type = value.find("type");
  return fmt::format("{}={}", assignment.path.back(), describe(type != nullptr ? *type : value));
}

/// Every point once for each alternative of `axis`.
std::vector<PointTree> vary(const std::vector<PointTree>& points, const Axis& axis, Problems& problems) {
  std::vector<PointTree> varied;
  if (points.size() * axis.alternatives.size() > kMaxPoints) {
    problems.add_fatal(axis.mark, axis.keys.front(),
                       fmt::format("too many points ({} x {}); allowed: {}", points.size(),
                                   axis.alternatives.size(), kMaxPoints));
    return points;
  }
  for (const PointTree& point : points) {
    for (const std::vector<Assignment>& together : axis.alternatives) {
      PointTree& made = varied.emplace_back(point);
      for (const Assignment& assignment : together) {
        set_path(made.root, assignment.path, assignment.value, problems);
        made.name = fmt::format("{}{}{}", made.name, made.name.empty() ? "" : ",", label(assignment));
      }
    }
  }
  return varied;
}

std::vector<PointTree> overlaid_points(const Node& base, const Node& points, Problems& problems) {
  if (points.mark.is_default()) {
    return {{"", base}};
  }
  if (points.kind != NodeKind::map || points.children.empty()) {
    problems.add_fatal(points.mark, "points",
                       fmt::format("is not a map ({}); allowed: names of points, each with what differs",
                                   points.kind == NodeKind::map ? "an empty map" : describe(points)));
    return {};
  }
  std::vector<PointTree> trees;
  for (const Node& overlay : points.children) {
    if (overlay.kind != NodeKind::map && overlay.kind != NodeKind::null) {
      problems.add(overlay.mark, join_path("points", overlay.key),
                   fmt::format("is not a map ({}); allowed: what differs at this point", describe(overlay)));
      continue;
    }
    PointTree& tree = trees.emplace_back(PointTree{overlay.key, base});
    if (overlay.kind == NodeKind::map) {
      merge(tree.root, overlay);
    }
  }
  return trees;
}

void refuse_equal_names(const std::vector<PointTree>& points, const Mark& mark, Problems& problems) {
  std::map<std::string, int> uses;
  for (const PointTree& point : points) {
    if (++uses[point.name] == 2) {
      problems.add(mark, "sweep",
                   fmt::format("two points have one name ({}); allowed: different values", point.name));
    }
  }
}

void finish(PointTree& point, const std::string& stem, const std::vector<Assignment>& settings,
            Problems& problems) {
  for (const Assignment& setting : settings) {
    set_path(point.root, setting.path, setting.value, problems);
  }
  if (point.root.find("name") == nullptr) {
    point.root.children.push_back(scalar_node("name", stem, {}));
  }
  if (point.name.empty()) {
    point.name = point.root.find("name")->text;
  }
}

}  // namespace

std::vector<PointTree> compose(const std::filesystem::path& file, std::span<const std::string> sets,
                               const Catalogue& catalogue, Problems& problems) {
  std::vector<Assignment> settings = parse_settings(sets, catalogue, problems);
  FileTree read = read_with_includes(file, problems, catalogue);
  if (problems.fatal()) {
    return {};
  }
  Node base = std::move(read.root);
  const auto rest = std::ranges::stable_partition(settings, sets_composition);
  for (auto setting = settings.begin(); setting != rest.begin(); ++setting) {
    set_path(base, setting->path, setting->value, problems);
  }
  settings.erase(settings.begin(), rest.begin());

  const Composition composition{base.take("points"), base.take("sweep"), base.take("zip")};
  std::vector<Axis> axes = sweep_axes(composition.sweep, problems);
  std::ranges::move(zip_axis(composition.zip, problems), std::back_inserter(axes));
  refuse_overlaps(axes, settings, problems);

  std::vector<PointTree> points = overlaid_points(base, composition.points, problems);
  for (const Axis& axis : axes) {
    points = vary(points, axis, problems);
  }
  for (PointTree& point : points) {
    finish(point, file.stem().string(), settings, problems);
    point.files = read.files;
  }
  refuse_equal_names(points, axes.empty() ? base.mark : axes.front().mark, problems);
  return points;
}

}  // namespace kvr::config

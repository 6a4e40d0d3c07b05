// sweep: {KEY: AXIS, ...}; AXIS = [value, ...]
//                               | {values: [value, ...] or {alias: value, ...}, name: TEXT, when: CONDITIONS}
//                               | {points: {alias: overlay, ...}, name: TEXT, when: CONDITIONS}
//                               | null, which drops one that was included
// CONDITIONS = {axis before it, or points: text or [text, ...], ...}
#include "sim/config/points/axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <set>

#include "sim/config/points/axis_names.hpp"
#include "sim/config/text/grammar.hpp"
#include "sim/config/text/includes.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/config/text/text_check.hpp"

namespace kvr::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPoints = "points";

// --- What stands in a sweep ---

/// Alternatives of one key, as written.
struct Column {
  AxisKey key;
  std::vector<Assignment> values;
  const Node* when = nullptr;
};

bool is_dropped(const Node& axis) {
  return axis.kind == NodeKind::null && !axis.mark.is_default();
}

void refuse_form(const Node& node, const std::string& path, Problems& problems) {
  const bool list = node.kind == NodeKind::list;
  const bool empty = list || node.kind == NodeKind::map;
  problems.add(node.mark, path,
               fmt::format("is not a list of values ({}); allowed: at least one value in brackets, or a map "
                           "of values or points, name and when",
                           empty ? fmt::format("an empty {}", list ? "list" : "map") : describe(node)));
}

/// `values: {alias: value}` and `points: {alias: overlay}`.
void take_aliased(const Node& map, Column& column) {
  for (const Node& child : map.children) {
    Assignment& one = column.values.emplace_back();
    one.value = child;
    one.value.key.clear();
    one.text = child.key;
    if (!column.key.overlays) {
      one.path = path_to(column.key.key, child);
    }
  }
  column.key.aliased = true;
}

void take_values(const Node& values, const std::string& path, Column& column, Problems& problems) {
  const bool list = values.kind == NodeKind::list;
  if ((!list && values.kind != NodeKind::map) || values.children.empty()) {
    refuse_form(values, path, problems);
  } else if (list) {
    std::ranges::transform(values.children, std::back_inserter(column.values), [&](const Node& value) {
      return Assignment{path_to(column.key.key, value), value};
    });
  } else {
    take_aliased(values, column);
  }
}

void take_points(const Node& points, const std::string& path, Column& column, Problems& problems) {
  column.key.overlays = true;
  if (points.kind != NodeKind::map || points.children.empty()) {
    refuse_form(points, path, problems);
    return;
  }
  for (const Node& overlay : points.children) {
    if (overlay.kind != NodeKind::map && overlay.kind != NodeKind::null) {
      problems.add(overlay.mark, join_path(path, overlay.key),
                   fmt::format("is not a map ({}); allowed: what differs at this point", describe(overlay)));
    }
  }
  take_aliased(points, column);
}

/// Names of axes are names of datasets in results, some of which are `axis.NAME`, and words of a text there.
bool is_axis_name(std::string_view name) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && letter(name.front()) && !name.starts_with("axis.") &&
         std::ranges::all_of(name, [&](char c) { return letter(c) || c == '.' || c == '-'; });
}

void refuse_name(const Node& node, std::string_view name, const std::string& path, Problems& problems) {
  problems.add(node.mark, path,
               fmt::format("is no name of an axis ({}); allowed: letters, digits, '_', '.', '-', a letter or "
                           "digit first, and not axis.",
                           name));
}

void take_name(const Node& name, const std::string& path, Column& column, Problems& problems) {
  if (name.kind != NodeKind::scalar || !is_axis_name(name.text)) {
    refuse_name(name, describe(name), path, problems);
    return;
  }
  column.key.name = name.text;
  column.key.named = true;
}

/// The map form.
void take_map(const Node& axis, const std::string& path, Column& column, Problems& problems) {
  constexpr std::array<std::string_view, 4> kKnown = {"values", kPoints, "name", "when"};
  const Node* values = axis.find("values");
  const Node* points = axis.find(kPoints);
  if ((values == nullptr) == (points == nullptr)) {
    problems.add(axis.mark, path, "has not one of values and points; allowed: one of them, name and when");
  } else if (values != nullptr) {
    take_values(*values, join_path(path, "values"), column, problems);
  } else {
    take_points(*points, join_path(path, kPoints), column, problems);
  }
  for (const Node& child : axis.children) {
    if (child.key == "name") {
      take_name(child, join_path(path, "name"), column, problems);
    } else if (child.key == "when") {
      column.when = &child;
    } else if (std::ranges::find(kKnown, child.key) == kKnown.end()) {
      problems.add(child.mark, join_path(path, child.key),
                   fmt::format("unknown key; {}", suggestion(child.key, kKnown)));
    }
  }
}

/// Keys that make points themselves.
bool composes(const std::string& key) {
  const std::vector<std::string> path = split_path(key);
  const Field* field = root_grammar().find(path.front());
  return !path.front().empty() &&
         ((field != nullptr && is_composition(*field)) || path == std::vector<std::string>{"run", "seeds"});
}

/// The columns of a `sweep` or `zip` that are usable.
std::vector<Column> columns_of(const Node& axes, std::string_view name, Problems& problems) {
  std::vector<Column> columns;
  if (axes.kind == NodeKind::null) {  // there is none, or it was dropped
    return columns;
  }
  if (axes.kind != NodeKind::map || axes.children.empty()) {
    problems.add(axes.mark, name,
                 fmt::format("is not a map ({}); allowed: dotted keys with lists of values", describe(axes)));
    return columns;
  }
  for (const Node& axis : axes.children) {
    const std::string path = join_path(name, axis.key);
    Column column{{.key = axis.key, .mark = axis.mark}, {}};
    if (is_dropped(axis)) {
      continue;
    }
    if (composes(axis.key)) {
      problems.add(axis.mark, path, fmt::format("cannot be varied ({}); allowed: keys of a point", axis.key));
      continue;
    }
    axis.kind == NodeKind::map && !axis.children.empty() ? take_map(axis, path, column, problems)
                                                         : take_values(axis, path, column, problems);
    if (column.key.overlays && !column.key.named && !is_axis_name(axis.key)) {
      refuse_name(axis, axis.key, path, problems);
    }
    if (!column.values.empty()) {
      columns.push_back(std::move(column));
    }
  }
  return columns;
}

std::vector<Condition> conditions_of(const Node& when, const std::string& path, Problems& problems) {
  std::vector<Condition> conditions;
  if (when.kind != NodeKind::map || when.children.empty()) {
    problems.add(when.mark, path,
                 fmt::format("is not a map ({}); allowed: names of axes before it, or points, each with what "
                             "it must be",
                             describe(when)));
  }
  for (const Node& child : when.children) {
    Condition& condition = conditions.emplace_back(Condition{child.key, {}});
    for (const Node& text : child.kind == NodeKind::list ? child.children : std::vector<Node>{child}) {
      condition.texts.push_back(describe(text));
    }
  }
  return conditions;
}

void add_column(Axis& axis, Column column) {
  axis.alternatives.resize(column.values.size());
  for (std::size_t i = 0; i < column.values.size(); ++i) {
    axis.alternatives[i].push_back(std::move(column.values[i]));
  }
  axis.keys.push_back(std::move(column.key));
  if (!axis.keys.back().aliased) {
    call_values(axis, axis.keys.size() - 1);
  }
}

// --- What axes have to do with one another ---

bool one_holds_the_other(std::string_view a, std::string_view b) {
  const std::string longer = fmt::format("{}.", a.size() < b.size() ? b : a);
  return longer.starts_with(fmt::format("{}.", a.size() < b.size() ? a : b));
}

/// Texts of an axis called `name`, by name or whole key; none where there is no such.
std::vector<std::string> texts_of(std::span<const Axis> axes, const std::string& name) {
  std::vector<std::string> texts;
  for (const Axis& axis : axes) {
    for (std::size_t key = 0; key < axis.keys.size(); ++key) {
      if (axis.keys[key].name == name || axis.keys[key].key == name) {
        for (const auto& together : axis.alternatives) {
          texts.push_back(together[key].text);
        }
      }
    }
  }
  return texts;
}

std::string suggest(const std::string& given, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  return suggestion(given, views);
}

void check_conditions(const std::vector<Axis>& axes, std::size_t place, std::span<const std::string> points,
                      Problems& problems) {
  const std::span<const Axis> before = std::span(axes).first(place);
  const std::string path = fmt::format("sweep.{}.when", axes[place].keys.front().key);
  for (const Condition& condition : axes[place].when) {
    std::vector<std::string> known = condition.name == kPoints ? std::vector(points.begin(), points.end())
                                                               : texts_of(before, condition.name);
    if (known.empty()) {
      std::vector<std::string> names{kPoints};
      for (const Axis& axis : before) {
        std::ranges::transform(axis.keys, std::back_inserter(names), &AxisKey::name);
      }
      problems.add(
          axes[place].when_mark, path,
          fmt::format("is no axis before this one ({}); {}", condition.name, suggest(condition.name, names)));
    }
    for (const std::string& text : known.empty() ? known : condition.texts) {
      if (std::ranges::find(known, text) == known.end()) {
        problems.add(axes[place].when_mark, path,
                     fmt::format("{} is never that ({}); {}", condition.name, text, suggest(text, known)));
      }
    }
  }
}

/// Whether a point that took these alternatives so far meets a condition.
bool holds(const Condition& condition, const std::vector<Axis>& axes, const Combination& so_far,
           std::span<const std::string> points) {
  const auto one_of = [&condition](const std::string& text) {
    return std::ranges::find(condition.texts, text) != condition.texts.end();
  };
  if (condition.name == kPoints) {
    return one_of(points[so_far.overlay]);
  }
  for (std::size_t axis = 0; axis < so_far.alternatives.size(); ++axis) {
    for (std::size_t key = 0; key < axes[axis].keys.size(); ++key) {
      if (axes[axis].keys[key].name == condition.name || axes[axis].keys[key].key == condition.name) {
        const std::optional<std::size_t>& taken = so_far.alternatives[axis];
        return taken && one_of(axes[axis].alternatives[*taken][key].text);
      }
    }
  }
  return false;
}

void combine(const std::vector<Axis>& axes, std::span<const std::string> points, std::size_t most,
             Combination& so_far, std::vector<Combination>& all) {
  if (all.size() > most) {
    return;
  }
  const std::size_t place = so_far.alternatives.size();
  if (place == axes.size()) {
    all.push_back(so_far);
    return;
  }
  const Axis& axis = axes[place];
  const bool varies = std::ranges::all_of(
      axis.when, [&](const Condition& condition) { return holds(condition, axes, so_far, points); });
  for (std::size_t i = 0; i < (varies ? axis.alternatives.size() : 1); ++i) {
    so_far.alternatives.push_back(varies ? std::optional(i) : std::nullopt);
    combine(axes, points, most, so_far, all);
    so_far.alternatives.pop_back();
  }
}

}  // namespace

std::vector<Axis> sweep_axes(const Node& sweep, Problems& problems) {
  std::vector<Axis> axes;
  for (Column& column : columns_of(sweep, "sweep", problems)) {
    Axis& axis = axes.emplace_back(Axis{{}, column.key.mark, {}});
    if (column.when != nullptr) {
      axis.when_mark = column.when->mark;
      axis.when =
          conditions_of(*column.when, join_path(join_path("sweep", column.key.key), "when"), problems);
    }
    add_column(axis, std::move(column));
  }
  return axes;
}

std::vector<Axis> zip_axis(const Node& zip, Problems& problems) {
  std::vector<Column> columns = columns_of(zip, "zip", problems);
  if (columns.empty()) {
    return {};
  }
  Axis axis{{}, zip.mark, {}};
  const std::string first = columns.front().key.key;
  const std::size_t length = columns.front().values.size();
  for (Column& column : columns) {
    const std::string path = join_path("zip", column.key.key);
    if (column.when != nullptr) {
      problems.add(column.when->mark, join_path(path, "when"), "is of an axis of sweep; allowed: there");
    }
    if (column.values.size() != length) {
      problems.add(column.key.mark, path,
                   fmt::format("differs in length from {} ({}); allowed: {} values", first,
                               column.values.size(), length));
      return {};
    }
    add_column(axis, std::move(column));
  }
  return {std::move(axis)};
}

void check_axes(const std::vector<Axis>& axes, const std::vector<Assignment>& settings,
                std::span<const std::string> points, Problems& problems) {
  std::vector<const AxisKey*> before;
  for (std::size_t place = 0; place < axes.size(); ++place) {
    for (const AxisKey& key : axes[place].keys) {
      for (const AxisKey* other : before) {
        const bool over_file = other->overlays && key.key != other->key;  // which gives what is below it
        if (!over_file && one_holds_the_other(key.key, other->key)) {
          problems.add(
              key.mark, key.key,
              fmt::format("is varied twice ({}, {}); allowed: once{}", other->key, to_string(other->mark),
                          key.overlays ? ", or files before the keys in them" : ""));
        }
      }
      before.push_back(&key);
    }
    check_conditions(axes, place, points, problems);
  }
  for (const Assignment& setting : settings) {
    const std::string path = fmt::format("{}", fmt::join(setting.path, "."));
    for (const AxisKey* key : before) {
      if (!key->overlays && one_holds_the_other(path, key->key)) {
        problems.add(setting.value.mark, path,
                     fmt::format("is varied by a sweep ({}); allowed: --set 'sweep.{}=[...]'",
                                 to_string(key->mark), key->key));
      }
    }
  }
}

std::vector<Combination> combinations_of(const std::vector<Axis>& axes, std::span<const std::string> points,
                                         std::size_t most) {
  std::vector<Combination> all;
  for (std::size_t overlay = 0; overlay < points.size(); ++overlay) {
    Combination so_far{.overlay = overlay, .alternatives = {}};
    combine(axes, points, most, so_far, all);
  }
  return all;
}

}  // namespace kvr::config

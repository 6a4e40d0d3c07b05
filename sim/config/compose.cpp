// points = (overlays or one without) x sweep (product, last axis fastest) x zip (one axis of several keys) x
// seeds each point: base <- overlay <- values of the axes <- --set
#include "sim/config/compose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "sim/config/text/includes.hpp"
#include "sim/config/text/source.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/config/text/text_check.hpp"
#include "sim/config/values.hpp"

namespace kvr::config {

namespace {

constexpr std::size_t kMaxPoints = 10'000;
/// Of all points together: nodes, which take time, and bytes of their texts, which results keep.
constexpr std::size_t kMaxNodesOfPoints = 10'000'000;
constexpr std::size_t kMaxBytesOfPoints = std::size_t{256} << 20;

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
  ReadBudget budget;
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
    if (const auto bad = find_bad_byte(key)) {
      problems.add_fatal(Mark{"--set"}, "", fmt::format("the key is {}; allowed: text in UTF-8", bad->what));
      continue;
    }
    Node value = parse_yaml(std::string_view(setting).substr(equals + 1), mark.file, problems, budget);
    stamp(value, mark);
    Assignment& assignment = assignments.emplace_back(split_setting_key(key), std::move(value));
    expand(assignment, catalogue);
  }
  return assignments;
}

const std::vector<std::string> kSeedPath = {"run", "seed"};
const std::vector<std::string> kSeedsPath = {"run", "seeds"};

bool sets_composition(const Assignment& assignment) {
  const Field* field = root_grammar().find(assignment.path.front());
  return (field != nullptr && is_composition(*field)) || assignment.path == kSeedsPath;
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

/// "budget=fixed".
std::string label(const Assignment& assignment) {
  const Node& value = assignment.value;
  const Node* type = value.find("type");
  return fmt::format("{}={}", assignment.path.back(), describe(type != nullptr ? *type : value));
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

/// Of maps and lists that are called the same, labels say what differs.
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
    same[i]->label = (named ? same[i]->label : same[i]->path.back()) + differs;
  }
}

void set_labels(Axis& axis) {
  for (std::size_t key = 0; key < axis.keys.size(); ++key) {
    std::map<std::string, std::vector<Assignment*>> called;
    for (std::vector<Assignment>& together : axis.alternatives) {
      Assignment& one = together[key];
      one.label = label(one);
      if (one.value.kind == NodeKind::map || one.value.kind == NodeKind::list) {
        called[one.label].push_back(&one);
      }
    }
    for (const auto& [name, same] : called) {
      tell_apart(same);
    }
  }
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
    set_labels(made);
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
  set_labels(axis);
  return {std::move(axis)};
}

/// The values of `run.seeds`; none, once reported, where they are not usable.
std::vector<std::int64_t> listed_seeds(const Node& seeds, Problems& problems) {
  std::vector<std::int64_t> values;
  for (const Node& element : seeds.children) {
    if (const auto value = read_value(element, field_at(kSeedPath)->spec, "run.seeds", problems)) {
      const auto seed = std::get<std::int64_t>(*value);
      if (std::ranges::find(values, seed) != values.end()) {
        problems.add(element.mark, "run.seeds", fmt::format("names a seed twice ({}); allowed: once", seed));
      } else {
        values.push_back(seed);
      }
    }
  }
  return values;
}

std::vector<std::int64_t> counted_seeds(const Node& seeds, const Node* first, Problems& problems) {
  static const ParamSpec count_spec{"seeds",
                                    ValueType::integer,
                                    std::int64_t{1},
                                    {.doc = "", .min = 1, .max = static_cast<double>(kMaxPoints)}};
  const ParamSpec& seed_spec = field_at(kSeedPath)->spec;
  const auto count = read_value(seeds, count_spec, "run.seeds", problems);
  const auto begin = first == nullptr ? std::optional(seed_spec.default_value)
                                      : read_value(*first, seed_spec, "run.seed", problems);
  if (!count || !begin) {
    return {};
  }
  const auto number = std::get<std::int64_t>(*count);
  const auto seed = std::get<std::int64_t>(*begin);
  if (seed > std::numeric_limits<std::int64_t>::max() - number) {
    problems.add(seeds.mark, "run.seeds",
                 fmt::format("goes past the last seed ({} from {} on); allowed: up to {}", number, seed,
                             std::numeric_limits<std::int64_t>::max()));
    return {};
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(number));
  std::iota(values.begin(), values.end(), seed);
  return values;
}

/// Takes `run.seeds` off `base`; nothing where it is not given.
std::optional<Axis> seed_axis(Node& base, Problems& problems) {
  Node* run = base.find("run");
  const Node seeds = run == nullptr ? Node{} : run->take("seeds");
  if (seeds.mark.is_default()) {
    return std::nullopt;
  }
  std::vector<std::int64_t> values;
  if (seeds.kind == NodeKind::list && !seeds.children.empty()) {
    values = listed_seeds(seeds, problems);
  } else if (seeds.kind == NodeKind::scalar) {
    values = counted_seeds(seeds, run->find("seed"), problems);
  } else {
    problems.add(seeds.mark, "run.seeds",
                 fmt::format("is neither a number nor a list of seeds ({}); allowed: 5, or [1, 2, 3]",
                             seeds.kind == NodeKind::list ? "an empty list" : describe(seeds)));
  }
  Axis axis{{"run.seed"}, seeds.mark, {}};
  for (const std::int64_t seed : values) {
    axis.alternatives.push_back({{kSeedPath, scalar_node("seed", std::to_string(seed), seeds.mark)}});
  }
  return axis.alternatives.empty() ? std::nullopt : std::optional(std::move(axis));
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

/// What is laid on the base, point by point; one empty overlay where there are no `points`.
std::vector<Node> overlays_of(Node points, Problems& problems) {
  if (points.mark.is_default()) {
    return {Node{}};
  }
  if (points.kind != NodeKind::map || points.children.empty()) {
    problems.add_fatal(points.mark, "points",
                       fmt::format("is not a map ({}); allowed: names of points, each with what differs",
                                   points.kind == NodeKind::map ? "an empty map" : describe(points)));
    return {};
  }
  std::vector<Node> overlays;
  for (Node& overlay : points.children) {
    if (overlay.kind != NodeKind::map && overlay.kind != NodeKind::null) {
      problems.add(overlay.mark, join_path("points", overlay.key),
                   fmt::format("is not a map ({}); allowed: what differs at this point", describe(overlay)));
    } else {
      overlays.push_back(std::move(overlay));
    }
  }
  return overlays;
}

struct Size {
  std::size_t nodes = 0;
  std::size_t bytes = 0;
};

Size size_of(const Node& node) {
  Size size{1, node.text.size()};
  for (const Node& child : node.children) {
    const Size inner = size_of(child);
    size.nodes += inner.nodes;
    size.bytes += inner.bytes;
  }
  return size;
}

/// overlays x alternatives of each axis; 0, once reported, where that is too many.
std::size_t count_points(const Node& base, std::size_t overlays, const std::vector<Axis>& axes,
                         const Mark& mark, Problems& problems) {
  // As a real number, because the product of long lists fits no integer.
  auto points = static_cast<double>(overlays);
  for (const Axis& axis : axes) {
    points *= static_cast<double>(axis.alternatives.size());
  }
  const Size size = size_of(base);
  const double most =
      std::min({static_cast<double>(kMaxPoints),
                static_cast<double>(kMaxNodesOfPoints) / static_cast<double>(size.nodes),
                static_cast<double>(kMaxBytesOfPoints) / static_cast<double>(size.bytes + 1)});
  if (points > std::max(most, 1.0)) {
    const std::string given = points < 1e15 ? fmt::format("{:.0f}", points) : "1e15 and more";
    problems.add_fatal(mark, axes.empty() ? "points" : "sweep",
                       fmt::format("too many points ({}); allowed: {:.0f}{}", given, std::floor(most),
                                   most < static_cast<double>(kMaxPoints) ? " of this size" : ""));
    return 0;
  }
  return static_cast<std::size_t>(points);
}

void refuse_equal_names(const Points& points, const Mark& mark, Problems& problems) {
  std::map<std::string, int> uses;
  Problems told_elsewhere;
  for (std::size_t i = 0; i < points.size(); ++i) {
    std::string name = points.make(i, told_elsewhere).name;
    if (++uses[name] == 2) {
      problems.add(mark, "sweep",
                   fmt::format("two points have one name ({}); allowed: different values", name));
    }
  }
}

}  // namespace

PointTree Points::make(std::size_t index, Problems& problems) const {
  const std::size_t seeds = seeds_ ? seeds_->alternatives.size() : 1;
  const std::size_t seed = index % seeds;
  index /= seeds;
  std::vector<std::size_t> alternatives(axes_.size());
  for (std::size_t axis = axes_.size(); axis-- > 0;) {
    alternatives[axis] = index % axes_[axis].alternatives.size();
    index /= axes_[axis].alternatives.size();
  }
  const Node& overlay = overlays_[index];
  PointTree point{overlay.key, "", base_};
  if (overlay.kind == NodeKind::map) {
    merge(point.root, overlay);
  }
  for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
    for (const Assignment& assignment : axes_[axis].alternatives[alternatives[axis]]) {
      set_path(point.root, assignment.path, assignment.value, problems);
      point.name = fmt::format("{}{}{}", point.name, point.name.empty() ? "" : ",", assignment.label);
    }
  }
  for (const Assignment& setting : settings_) {
    set_path(point.root, setting.path, setting.value, problems);
  }
  if (point.root.find("name") == nullptr) {
    if (const auto bad = find_bad_byte(stem_)) {
      problems.add(
          point.root.mark, "name",
          fmt::format("is missing, and the name of the file is {}; allowed: text in UTF-8", bad->what));
    }
    point.root.children.push_back(scalar_node("name", stem_, {}));
  }
  if (point.name.empty()) {
    point.name = point.root.find("name")->text;
  }
  point.variant = point.name;
  if (seeds_) {
    const Assignment& assignment = seeds_->alternatives[seed].front();
    set_path(point.root, assignment.path, assignment.value, problems);
    point.name = fmt::format("{},{}", point.variant, label(assignment));
  }
  return point;
}

Points compose(const std::filesystem::path& file, std::span<const std::string> sets,
               const Catalogue& catalogue, Problems& problems) {
  Points points;
  std::vector<Assignment> settings = parse_settings(sets, catalogue, problems);
  FileTree read = read_with_includes(file, problems, catalogue);
  if (problems.fatal()) {
    return points;
  }
  Node base = std::move(read.root);
  points.files_ = std::move(read.files);
  const auto varies_seeds = [&](const Assignment& setting) { return setting.path == kSeedsPath; };
  const Node* run = base.find("run");
  const bool seeds =
      (run != nullptr && run->find("seeds") != nullptr) || std::ranges::any_of(settings, varies_seeds);
  const auto rest = std::ranges::stable_partition(settings, [&](const Assignment& setting) {
    return sets_composition(setting) || (seeds && setting.path == kSeedPath);  // the first of them
  });
  for (auto setting = settings.begin(); setting != rest.begin(); ++setting) {
    set_path(base, setting->path, setting->value, problems);
  }
  settings.erase(settings.begin(), rest.begin());

  points.overlays_ = overlays_of(base.take("points"), problems);
  const Node sweep = base.take("sweep");
  const Node zip = base.take("zip");
  points.axes_ = sweep_axes(sweep, problems);
  std::ranges::move(zip_axis(zip, problems), std::back_inserter(points.axes_));
  points.seeds_ = seed_axis(base, problems);
  std::vector<Axis> all = points.axes_;
  if (points.seeds_) {
    all.push_back(*points.seeds_);
  }
  refuse_overlaps(all, settings, problems);

  const Mark mark = all.empty() ? base.mark : all.front().mark;
  points.size_ = count_points(base, points.overlays_.size(), all, mark, problems);
  points.base_ = std::move(base);
  points.settings_ = std::move(settings);
  points.stem_ = stem_of(file);
  refuse_equal_names(points, mark, problems);
  return points;
}

}  // namespace kvr::config

// points = (overlays or one without) x sweep (product, last axis fastest) x zip (one axis of several keys) x
// seeds each point: base <- overlay <- values of the axes <- --set
#include "sim/config/points/compose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "sim/config/points/axis_names.hpp"
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
void expand(Assignment& assignment, const Catalogue& catalogue, Problems& problems) {
  if (const Field* field = field_at(assignment.path)) {
    expand_components(assignment.value, *field, catalogue);
  } else if (const Field* axes = root_grammar().find(assignment.path.front());
             axes != nullptr && axes->shape == Shape::axes) {
    Node map{.kind = NodeKind::map};
    assignment.value.key = assignment.path.back();
    map.key = assignment.path.front();
    map.children.push_back(std::move(assignment.value));
    Node root{.kind = NodeKind::map};
    root.children.push_back(std::move(map));
    read_axis_files(root, "", problems, catalogue);  // relative to the working folder
    expand_components(root.children.front(), *axes, catalogue);
    assignment.value = std::move(root.children.front().children.front());
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
    expand(assignment, catalogue, problems);
  }
  return assignments;
}

const std::vector<std::string> kSeedPath = {"run", "seed"};
const std::vector<std::string> kSeedsPath = {"run", "seeds"};

bool sets_composition(const Assignment& assignment) {
  const Field* field = root_grammar().find(assignment.path.front());
  return (field != nullptr && is_composition(*field)) || assignment.path == kSeedsPath;
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
  Axis axis{{{.key = "run.seed", .mark = seeds.mark, .name = "seed"}}, seeds.mark, {}};
  for (const std::int64_t seed : values) {
    const std::string text = std::to_string(seed);
    axis.alternatives.push_back({{kSeedPath, scalar_node("seed", text, seeds.mark), text}});
  }
  return axis.alternatives.empty() ? std::nullopt : std::optional(std::move(axis));
}

/// What is laid on the base, point by point; one empty overlay where there are no `points`.
std::vector<Node> overlays_of(Node points, Problems& problems) {
  if (points.kind == NodeKind::null) {  // there are none, or they were dropped
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

/// How many points this size of a configuration may make, at least one.
std::size_t most_points(const Node& base) {
  const Size size = size_of(base);
  const std::size_t most =
      std::min({kMaxPoints, kMaxNodesOfPoints / size.nodes, kMaxBytesOfPoints / (size.bytes + 1)});
  return std::max<std::size_t>(most, 1);
}

/// Of overlays x alternatives of each axis; as a real number, because the product of long lists fits no
/// integer. Conditions make it less.
double product_of(std::size_t overlays, const std::vector<Axis>& axes) {
  auto points = static_cast<double>(overlays);
  for (const Axis& axis : axes) {
    points *= static_cast<double>(axis.alternatives.size());
  }
  return points;
}

void refuse_too_many(double points, std::size_t most, bool at_least, const Mark& mark, std::string_view key,
                     Problems& problems) {
  const std::string given =
      points >= 1e15 ? "1e15 and more" : fmt::format("{:.0f}{}", points, at_least ? " and more" : "");
  problems.add_fatal(mark, key,
                     fmt::format("too many points ({}); allowed: {}{}", given, most,
                                 most < kMaxPoints ? " of this size" : ""));
}

/// What one alternative of an axis makes of a point, and of its name.
void assign(const Axis& axis, std::size_t alternative, PointTree& point, Problems& problems) {
  for (std::size_t i = 0; i < axis.keys.size(); ++i) {
    const AxisKey& key = axis.keys[i];
    const Assignment& assignment = axis.alternatives[alternative][i];
    if (!assignment.path.empty()) {
      set_path(point.root, assignment.path, assignment.value, problems);
    } else if (assignment.value.kind == NodeKind::map) {
      merge(point.root, assignment.value);
    }
    if (assignment.value.is_unread) {
      point.unread.push_back(key.key);
    }
    point.name = fmt::format("{}{}{}", point.name, point.name.empty() ? "" : ",", label_of(key, assignment));
    point.coordinates.push_back({key.name, key.overlays || key.aliased ? "" : key.key, assignment.text});
  }
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
  const Combination& combination = combinations_[index / seeds];
  const Node& overlay = overlays_[combination.overlay];
  PointTree point{overlay.key, "", base_};
  if (overlay.kind == NodeKind::map) {
    merge(point.root, overlay);
  }
  for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
    if (const std::optional<std::size_t>& alternative = combination.alternatives[axis]) {
      assign(axes_[axis], *alternative, point, problems);
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
    const Assignment& assignment = seeds_->alternatives[index % seeds].front();
    set_path(point.root, assignment.path, assignment.value, problems);
    point.name = fmt::format("{},{}", point.variant, label_of(seeds_->keys.front(), assignment));
  }
  return point;
}

std::vector<std::string> Points::names() const {
  std::vector<std::string> names;
  std::ranges::transform(overlays_, std::back_inserter(names), &Node::key);
  return names;
}

std::vector<std::string> Points::axis_names() const {
  std::vector<std::string> names;
  for (const Axis& axis : axes_) {
    std::ranges::transform(axis.keys, std::back_inserter(names), &AxisKey::name);
  }
  return names;
}

void Points::take_axes(const Node& sweep, const Node& zip, Problems& problems) {
  axes_ = sweep_axes(sweep, problems);
  std::ranges::move(zip_axis(zip, problems), std::back_inserter(axes_));
  seeds_ = seed_axis(base_, problems);
  name_axes(axes_, seeds_.has_value(), problems);
  std::vector<Axis> all = axes_;
  if (seeds_) {
    all.push_back(*seeds_);
  }
  check_axes(all, settings_, names(), problems);

  const Mark mark = all.empty() ? base_.mark : all.front().mark;
  const std::string_view key = all.empty() ? "points" : "sweep";
  const std::size_t most = most_points(base_);
  const bool conditions = std::ranges::any_of(axes_, [](const Axis& axis) { return !axis.when.empty(); });
  const double product = product_of(overlays_.size(), all);
  if (!conditions && product > static_cast<double>(most)) {
    refuse_too_many(product, most, false, mark, key, problems);
    return;
  }
  combinations_ = combinations_of(axes_, names(), most);
  if (size() > most) {
    combinations_.clear();
    refuse_too_many(static_cast<double>(most) + 1.0, most, true, mark, key, problems);
    return;
  }
  refuse_equal_names(*this, mark, problems);
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
  points.base_ = std::move(base);
  points.settings_ = std::move(settings);
  points.stem_ = stem_of(file);
  points.take_axes(sweep, zip, problems);
  return points;
}

}  // namespace kvr::config

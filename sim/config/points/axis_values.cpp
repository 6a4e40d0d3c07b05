#include "sim/config/points/axis_values.hpp"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>

namespace kvr::config {
namespace {

/// The node at a dotted path that an axis has; null where the point lacks it.
const Resolved* find_at(const Resolved& root, std::string_view path) {
  const Resolved* node = &root;
  for (const std::string& part : split_path(path)) {
    const std::vector<Resolved>& children = node->children;
    if (node->kind == NodeKind::list) {
      const std::size_t place = static_cast<std::size_t>(std::strtoul(part.c_str(), nullptr, 10));
      node = place < children.size() ? &children[place] : nullptr;
    } else {
      const auto found = std::ranges::find(children, part, &Resolved::key);
      node = found != children.end() ? &*found : nullptr;
    }
    if (node == nullptr) {
      return nullptr;
    }
  }
  return node;
}

std::string_view unit_of(const ParamSpec& spec) {
  switch (spec.info.quantity) {
    case Quantity::bytes:
      return "B";
    case Quantity::seconds:
      return "s";
    case Quantity::bytes_per_second:
      return "B/s";
    case Quantity::hertz:
      return "Hz";
    case Quantity::per_second:
      return "1/s";
    case Quantity::joules:
      return "J";
    case Quantity::watts:
      return "W";
    case Quantity::none:
      return spec.info.unit;
  }
  return "";
}

AxisValue axis_value(const Resolved& root, const Coordinate& coordinate) {
  AxisValue axis{.axis = coordinate.axis, .key = coordinate.key, .value = coordinate.text};
  const Resolved* node = coordinate.key.empty() ? nullptr : find_at(root, coordinate.key);
  if (node == nullptr || node->kind != NodeKind::scalar) {
    return axis;
  }
  if (const auto* whole = std::get_if<std::int64_t>(&node->value)) {
    axis.value = *whole;
    axis.unit = unit_of(node->spec);
  } else if (const auto* real = std::get_if<double>(&node->value)) {
    axis.value = *real;
    axis.unit = unit_of(node->spec);
  }
  return axis;
}

}  // namespace

std::vector<AxisValue> axis_values(const Resolved& root, std::span<const Coordinate> coordinates) {
  std::vector<AxisValue> axes;
  std::ranges::transform(coordinates, std::back_inserter(axes),
                         [&root](const Coordinate& coordinate) { return axis_value(root, coordinate); });
  return axes;
}

}  // namespace kvr::config

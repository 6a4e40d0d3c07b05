#include "sim/cli/result/flat_configuration.hpp"

#include <fmt/format.h>

#include "sim/config/text/tree.hpp"

namespace kvr::cli {
namespace {

using config::Node;
using config::NodeKind;

void flatten(const Node& node, const std::string& path, FlatConfiguration& flat) {
  if (node.children.empty()) {
    const bool empty_list = node.kind == NodeKind::list;
    flat.emplace(path, empty_list ? "[]" : node.kind == NodeKind::map ? "{}" : node.text);
    return;
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Node& child = node.children[i];
    const std::string key = node.kind == NodeKind::list ? std::to_string(i) : child.key;
    flatten(child, config::join_path(path, key), flat);
  }
}

}  // namespace

FlatConfiguration flat_configuration(const ResultFile& file, const ResultPoint& point) {
  config::Problems problems;
  config::ReadBudget budget;
  const std::string name = fmt::format("{}: resolved_config of '{}'", file.path().string(), point.name);
  const Node root = config::parse_yaml(point.resolved_config, name, problems, budget);
  problems.throw_if_any();
  FlatConfiguration flat;
  flatten(root, "", flat);
  return flat;
}

}  // namespace kvr::cli

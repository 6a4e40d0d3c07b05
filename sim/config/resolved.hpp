#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/params.hpp"
#include "sim/base/registry.hpp"
#include "sim/config/points/compose.hpp"
#include "sim/config/stage_config.hpp"
#include "sim/config/text/grammar.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

/// A checked configuration: every key of the grammar in its order, defaults filled in. Components are maps
/// whose first child is `type`.
struct Resolved {
  std::string key = {};  ///< empty for the root and list elements
  Mark mark = {};        ///< who said so; default where nobody did
  NodeKind kind = NodeKind::map;
  ParamSpec spec = {};  ///< scalar
  Value value = {};     ///< scalar
  std::vector<Resolved> children = {};

  /// The node at a dotted path that the grammar promises.
  const Resolved& at(std::string_view path) const;
};

/// Of a checked component.
ComponentChoice component_of(const Resolved& node);

/// Holds `root` against the grammar and the catalogue; what comes back means nothing once a problem is
/// reported.
Resolved check(const Node& root, const Catalogue& catalogue, Problems& problems);
/// The same against `grammar`, a table of some of the root's fields.
Resolved check(const Node& root, const Field& grammar, const Catalogue& catalogue, Problems& problems);

/// The canonical YAML text of `root`.
std::string dump_yaml(const Resolved& root);

struct ResolvedPoint {
  std::string name;
  std::string variant;  ///< the name without its seed
  Resolved root;
  std::vector<std::filesystem::path> files = {};  ///< that it was read from
  std::vector<Coordinate> coordinates = {};
  bool is_whole = true;  ///< false: it lacks what a file would give that cannot be read, which has been told
};
/// Reads, composes and checks; throws as `load_config` does.
std::vector<ResolvedPoint> resolve_points(const std::filesystem::path& file,
                                          std::span<const std::string> sets, const Catalogue& catalogue);

}  // namespace kvr::config

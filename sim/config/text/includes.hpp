#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "sim/base/registry.hpp"
#include "sim/config/text/grammar.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::config {

struct FileTree {
  Node root;
  std::vector<std::filesystem::path> files;  ///< that were read, each once
};

/// Reads `file` and everything it includes into one tree. Included files are named in marks relative to how
/// `file` itself was given.
FileTree read_with_includes(const std::filesystem::path& file, Problems& problems,
                            const Catalogue& catalogue = Catalogue::instance());

/// Puts the files under the axes in `root` that name them, as reading `file` does.
void read_axis_files(Node& root, const std::filesystem::path& file, Problems& problems,
                     const Catalogue& catalogue);

/// A component may be given by its name alone; turns such scalars below `field` into maps with `type`, so
/// that merging and setting need not know about the short form, and marks those whose kind shares parameters.
void expand_components(Node& node, const Field& field, const Catalogue& catalogue);

/// What the grammar says of a dotted key; null where it says nothing, e.g. of a component's parameters.
const Field* field_at(std::span<const std::string> path);

}  // namespace kvr::config

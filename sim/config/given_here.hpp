#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "sim/base/registry.hpp"
#include "sim/config/resolve.hpp"
#include "sim/config/resolved.hpp"

namespace kvr::config {

/// "file:line:column" of every value that somebody gave, by its dotted key.
std::map<std::string, std::string, std::less<>> places_of(const Resolved& root);

/// Looks through the values that `file` itself gives, or a setting.
class GivenHere {
 public:
  GivenHere(const std::filesystem::path& file, const Catalogue& catalogue)
      : file_(file.string()), catalogue_(catalogue) {}

  /// Adds to `config` the keys of `node`, at `path`, that are given here, and notes which have no effect.
  void look_at(const Field& field, const Resolved& node, const std::string& path, RunConfig& config) const;

 private:
  bool is_given_here(const Mark& mark) const;
  void look_at_component(const Field& field, const Resolved& node, const std::string& path,
                         RunConfig& config) const;

  std::string file_;
  const Catalogue& catalogue_;
};

}  // namespace kvr::config

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvr {

/// A file that is compiled into this program and is none of kvreplay's: the source of a policy of somebody's
/// own. Objects of this class name themselves before `main`, as policies do; kvreplay_add_policy of CMake
/// makes one for each source, so that results can say what they come from.
class OwnSource {
 public:
  /// `path`: as its project calls it.
  OwnSource(std::string_view path, std::string_view sha256);
};

/// "path sha256" of each, sorted.
std::vector<std::string> own_sources();

}  // namespace kvr

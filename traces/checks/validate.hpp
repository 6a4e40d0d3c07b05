#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvr::trace {

struct Validation {
  /// One line each, `file: /path/in/file: what is wrong; what is expected`; none: a valid kvtrace file.
  std::vector<std::string> problems;
  /// A Reader can open it: if anything is wrong, it is among the values.
  bool opens = false;
};

/// Reads the whole file, in a process of its own, and says everything that is wrong with it.
/// SystemError if the file may not be read at all.
Validation examine(const std::filesystem::path& path);

/// The problems alone.
std::vector<std::string> validate(const std::filesystem::path& path);

}  // namespace kvr::trace

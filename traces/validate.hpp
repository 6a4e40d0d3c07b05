#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kvr::trace {

/// Reads the whole file and says everything that is wrong with it; empty: a valid kvtrace file.
/// Each problem is one line, `file: /path/in/file: what is wrong; what is expected`.
/// SystemError if the file may not be read at all.
std::vector<std::string> validate(const std::filesystem::path& path);

}  // namespace kvr::trace

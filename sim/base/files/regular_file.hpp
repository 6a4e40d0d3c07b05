#pragma once

#include <filesystem>
#include <string>

namespace kvr {

/// All bytes of a regular file, or of one that symbolic links lead to. Never waits for what stands there
/// instead, as a pipe that nobody writes to would. Throws InputError where something else is there, or
/// nothing, or links that lead nowhere; SystemError where the system refuses. Both name the file.
std::string read_regular_file(const std::filesystem::path& path);

}  // namespace kvr

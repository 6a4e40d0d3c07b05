#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace kvr::config {

/// Whether `file` is read as it comes and once: `-` (standard input), a pipe, a device node.
bool is_stream(const std::filesystem::path& file);

/// What relative paths in `file` are relative to: its folder, the working folder for a stream.
std::filesystem::path folder_of(const std::filesystem::path& file);

/// The file system's name for what `file` is read from.
std::filesystem::path readable_name(const std::filesystem::path& file);

/// What a configuration without a name is called after: the file's stem, `stdin` for a stream.
std::string stem_of(const std::filesystem::path& file);

/// The first `most` bytes of `file`, or all where it has fewer. Throws SystemError.
std::string read_text(const std::filesystem::path& file, std::size_t most);

}  // namespace kvr::config

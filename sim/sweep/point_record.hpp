#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "sim/results/outline.hpp"

namespace kvr::sweep {

/// The bytes of an outline, and back. Throws InputError where they are not those of one.
std::string encode(const PointOutline& outline);
PointOutline decode_outline(std::string_view bytes);

/// A finished point as a file: its outline, then the values that a results file has of it, and the sha256 of
/// both. Values are as this machine holds them, to the last bit, for the program that wrote them.
///
/// Appears whole or not at all. Throws SystemError if it cannot be written, or would not be read again as it
/// has more steps than a record may. `key`: of the point.
void write_record(const std::filesystem::path& path, std::string_view key, const PointOutline& outline,
                  const PointData& data);

/// What a record holds, all of which is looked at: also one with the right sha256 may have been made by
/// somebody else. Throws InputError where it is damaged, of another point or no regular file, naming the
/// file, and SystemError where it cannot be read.
PointOutline read_outline(const std::filesystem::path& path, std::string_view key);
std::shared_ptr<const PointData> read_values(const std::filesystem::path& path, std::string_view key);

}  // namespace kvr::sweep

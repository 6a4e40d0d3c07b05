#pragma once

#include <span>
#include <string>
#include <string_view>

#include "sim/config/resolve.hpp"

namespace kvr::sweep {

/// What a point's results follow from: 64 hexadecimal digits, the sha256 of its resolved configuration, of
/// the traces and other files that it reads (`hashes`, theirs, in the order of the configuration) and of the
/// program, whose shared libraries are left to the system. What point and configuration are called is no part
/// of it.
std::string point_key(const RunConfig& point, std::span<const std::string> hashes, std::string_view program);

/// sha256 of the executable that runs, policies of any origin included. Throws SystemError where it cannot be
/// read.
std::string program_sha256();

}  // namespace kvr::sweep

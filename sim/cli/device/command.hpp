#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay device curve|fit|probe ...`; `args` is what follows "device". Returns the exit code; wrong usage
/// and bad files are InputErrors.
int run_device_command(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

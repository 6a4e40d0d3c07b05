#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay calibrate TRACE... -o FILE`: finds the directions that keys of a model have in common. Returns
/// the exit status; throws InputError and SystemError.
int run_calibrate_command(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay inspect`: what one head chose in one step, and what was read for it; returns the exit code.
/// Throws InputError with what is wrong.
int run_inspect_command(std::span<const std::string> args, std::FILE* out);

}  // namespace kvr

#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay explain CONFIG [KEY] [--set KEY=VALUE]...`: every value of every point and who gave it. Returns
/// the exit code.
int run_explain_command(std::span<const std::string> args, std::FILE* out);

}  // namespace kvr

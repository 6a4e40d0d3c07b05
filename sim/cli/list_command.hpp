#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay list [KIND [NAME]] [--markdown]`: kinds, implementations, parameters. `kvreplay list device
/// [NAME]
/// --validated`: how far the shipped devices are from what was measured. Returns the exit code.
int run_list_command(std::span<const std::string> args, std::FILE* out);

}  // namespace kvr

#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay list [KIND [NAME]] [--markdown]`: kinds, implementations, parameters. `systems [NAME]` in the
/// place of a kind: what the shipped systems say of themselves. `--validated`: how far the shipped devices
/// and phones are from what was measured. Returns the exit code.
int run_list_command(std::span<const std::string> args, std::FILE* out);

}  // namespace kvr

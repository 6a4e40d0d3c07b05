#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay schema`: the JSON Schema of configurations. Returns the exit code.
int run_schema_command(std::span<const std::string> args, std::FILE* out);

}  // namespace kvr

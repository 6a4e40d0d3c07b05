#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay trace info|validate|synth|head|stats ...`; `args` is what follows "trace".
/// Returns the exit code: 0, or 2 if `validate` found problems, which it says on standard
/// error. Wrong usage and bad files are InputErrors.
int run_trace_command(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay device curve DEVICE ...`; `args` is what follows "curve". Returns the exit code; wrong usage and
/// bad files are InputErrors.
int run_device_curve(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay result show|merge|export ...`: looks into files of results. Returns the exit code; wrong usage
/// and files that are no results are InputErrors.
int run_result_command(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

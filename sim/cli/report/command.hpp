#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay report RESULT.h5 -o report.html ...`: a page about results, in one file (docs/report.md).
/// Returns the exit code; wrong usage and files that are no results are InputErrors.
int run_report_command(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

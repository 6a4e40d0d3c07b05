#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay compare BASE.h5 NEW.h5 ...`: what moved between two results, and whether that is a regression
/// (docs/compare.md). Returns the exit code: 0, or 1 where it is. Wrong usage, files that are no results and
/// results of other runs are InputErrors.
int run_compare_command(std::span<const std::string> args, std::FILE* out);

}  // namespace kvr

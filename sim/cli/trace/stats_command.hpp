#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay trace stats FILE ...`: what a policy can hope for in each layer and head of a trace. Returns the
/// exit code; wrong usage and traces that `kvreplay trace validate` finds fault with are InputErrors.
int run_trace_stats(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

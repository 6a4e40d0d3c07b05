#pragma once

#include <span>
#include <string>

namespace kvr {

/// `kvreplay bench [--only SECTION]... [--json FILE] [--brief]`: measures kernels, whole replays and sweeps
/// on this machine, as medians, as ratios to a named peer of the same run and as shares of the roofline.
/// Returns the exit code.
int run_bench_command(std::span<const std::string> args);

}  // namespace kvr

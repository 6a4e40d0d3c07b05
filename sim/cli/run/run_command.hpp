#pragma once

#include <span>
#include <string>

namespace kvr {

/// `kvreplay run CONFIG.yaml [options]`: replays every point of a configuration that is not finished yet,
/// prints the summary and writes the results. Returns the exit code; throws as the library
/// does.
int run_run_command(std::span<const std::string> args, bool quiet);

}  // namespace kvr

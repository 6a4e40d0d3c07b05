#pragma once

#include <span>
#include <string>

namespace kvr {

/// `kvreplay run CONFIG.yaml [--set key=value]... [-o out.h5] [--timeline out.json]`: replays every point of
/// a configuration, prints the summary and writes the results. Returns the exit code; throws as the library
/// does.
int run_run_command(std::span<const std::string> args, bool quiet);

}  // namespace kvr

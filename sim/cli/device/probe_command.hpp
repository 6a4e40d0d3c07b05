#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay device probe PATH ...`: measures this machine's storage and prints a table on `out`; progress
/// and the expected time go to stderr unless `quiet`. Returns the exit code.
int run_device_probe(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

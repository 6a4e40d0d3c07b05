#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay device fit FIO.json... -o DEVICE.yaml`; `args` is what follows "fit". Returns the exit code;
/// wrong usage and bad files are InputErrors.
int run_device_fit(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

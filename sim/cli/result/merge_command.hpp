#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay result merge FILE... -o OUT.h5`.
int run_result_merge(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

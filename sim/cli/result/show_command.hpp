#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay result show FILE ...`.
int run_result_show(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

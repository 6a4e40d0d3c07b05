#pragma once

#include <cstdio>
#include <span>
#include <string>

namespace kvr {

/// `kvreplay result export FILE --csv OUT.csv ...`.
int run_result_export(std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr

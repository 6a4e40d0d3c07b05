#include "sim/cli/bench_command.hpp"

namespace kvr {

int run_bench_command(std::span<const std::string> /*args*/) { return 0; }

}  // namespace kvr

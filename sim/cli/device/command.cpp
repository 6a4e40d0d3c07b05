#include "sim/cli/device/command.hpp"

#include <array>

#include "sim/cli/device/curve_command.hpp"
#include "sim/cli/device/fit_command.hpp"
#include "sim/cli/device/probe_command.hpp"
#include "sim/cli/options/subcommands.hpp"

namespace kvr {

int run_device_command(std::span<const std::string> args, std::FILE* out, bool quiet) {
  constexpr std::array kSubcommands = {
      cli::Subcommand{"curve", "bandwidth, rate and latency of a device over size, queue depth and range",
                      run_device_curve},
      cli::Subcommand{"fit", "a device file from measurements of a real part", run_device_fit},
      cli::Subcommand{"probe", "measure a file on a real part", run_device_probe},
  };
  return cli::run_subcommand({"kvreplay device", kSubcommands}, args, out, quiet);
}

}  // namespace kvr

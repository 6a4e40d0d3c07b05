#include "sim/cli/device/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/cli/device/curve_command.hpp"
#include "sim/cli/device/fit_command.hpp"
#include "sim/cli/device/probe_command.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr {
namespace {

using Args = std::span<const std::string>;

struct Command {
  std::string_view name;
  std::string_view doc;
  int (*run)(Args args, std::FILE* out, bool quiet);
};

constexpr std::array kCommands = {
    Command{"curve", "bandwidth, rate and latency of a device over size, queue depth and range",
            run_device_curve},
    Command{"fit", "a device file from measurements of a real part", run_device_fit},
    Command{"probe", "measure a file on a real part", run_device_probe},
};

std::string help() {
  std::string text = "usage: kvreplay device COMMAND ...\n\n";
  for (const Command& command : kCommands) {
    text += fmt::format("  {:8}  {}\n", command.name, command.doc);
  }
  return text + "\nkvreplay device COMMAND --help lists the options of a command.\n";
}

}  // namespace

int run_device_command(Args args, std::FILE* out, bool quiet) {
  if (args.empty()) {
    throw InputError("kvreplay device: no command is given; see 'kvreplay device --help'");
  }
  if (args[0] == "--help" || args[0] == "-h") {
    fmt::print(out, "{}", help());
    return 0;
  }
  const auto found = std::ranges::find(kCommands, args[0], &Command::name);
  if (found == kCommands.end()) {
    std::array<std::string_view, kCommands.size()> names;
    std::ranges::transform(kCommands, names.begin(), &Command::name);
    throw InputError(fmt::format("kvreplay device: no such command ({}); {}", args[0],
                                 config::suggestion(args[0], names)));
  }
  return found->run(args.subspan(1), out, quiet);
}

}  // namespace kvr

#include "sim/cli/result/command.hpp"

#include <array>

#include "sim/cli/options/subcommands.hpp"
#include "sim/cli/result/export_command.hpp"
#include "sim/cli/result/merge_command.hpp"
#include "sim/cli/result/show_command.hpp"

namespace kvr {

int run_result_command(std::span<const std::string> args, std::FILE* out, bool quiet) {
  constexpr std::array kSubcommands = {
      cli::Subcommand{"show", "points, summaries, notes and where they come from", run_result_show},
      cli::Subcommand{"merge", "put the parts of a sweep together", run_result_merge},
      cli::Subcommand{"export", "a table for other programs", run_result_export},
  };
  return cli::run_subcommand({"kvreplay result", kSubcommands}, args, out, quiet);
}

}  // namespace kvr

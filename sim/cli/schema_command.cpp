#include "sim/cli/schema_command.hpp"

#include <fmt/format.h>

#include "sim/cli/options.hpp"
#include "sim/config/schema.hpp"

namespace kvr {

int run_schema_command(std::span<const std::string> args, std::FILE* out) {
  boost::program_options::options_description options("options");
  options.add_options()("help,h", "this text");
  const auto values = cli::parse("kvreplay schema", args, options, {});
  fmt::print(out, "{}",
             values.count("help") > 0 ? cli::help_text("kvreplay schema > kvreplay.schema.json", options)
                                      : config::json_schema());
  return 0;
}

}  // namespace kvr

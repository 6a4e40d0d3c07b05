#include "sim/cli/schema_command.hpp"

#include <fmt/format.h>

#include "sim/cli/options/options.hpp"
#include "sim/config/schema.hpp"

namespace kvr {

int run_schema_command(std::span<const std::string> args, std::FILE* out) {
  const cli::Syntax syntax("kvreplay schema", "> kvreplay.schema.json", {});
  if (cli::parse(syntax, args, out)) {
    fmt::print(out, "{}", config::json_schema());
  }
  return 0;
}

}  // namespace kvr

#include "sim/cli/schema_command.hpp"

#include <fmt/format.h>

#include "sim/cli/options/options.hpp"
#include "sim/cli/schema_markdown.hpp"
#include "sim/config/schema.hpp"

namespace kvr {

int run_schema_command(std::span<const std::string> args, std::FILE* out) {
  cli::Syntax syntax("kvreplay schema", "[--markdown] > kvreplay.schema.json", {});
  syntax.options.add_options()("markdown", "every key as a page, instead of the schema");
  if (const auto given = cli::parse(syntax, args, out)) {
    fmt::print(out, "{}", given->count("markdown") > 0 ? cli::schema_markdown() : config::json_schema());
  }
  return 0;
}

}  // namespace kvr

#include "sim/cli/options/subcommands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr::cli {
namespace {

constexpr GroupOption kHelp{"--help", "this text; after a command, its own"};

std::string help_text(const CommandGroup& group) {
  std::string text = fmt::format("usage: {} COMMAND [options]\n\n", group.command);
  for (const Subcommand& one : group.subcommands) {
    text += fmt::format("  {:9}  {}\n", one.name, one.doc);
  }
  text += fmt::format("\n  {:9}  {}\n", kHelp.name, kHelp.doc);
  for (const GroupOption& option : group.options) {
    text += fmt::format("  {:9}  {}\n", option.name, option.doc);
  }
  return text;
}

/// What is wrong with `name`, which is neither a command nor an option of `group`.
std::string unknown(const CommandGroup& group, const std::string& name) {
  const bool option = name.starts_with('-');
  std::vector<std::string_view> known;
  if (option) {
    known.push_back(kHelp.name);
    std::ranges::transform(group.options, std::back_inserter(known), &GroupOption::name);
  } else {
    std::ranges::transform(group.subcommands, std::back_inserter(known), &Subcommand::name);
  }
  return fmt::format("{}: {} ({}); {}", group.command, option ? "unknown option" : "no such command", name,
                     config::suggestion(name, known));
}

}  // namespace

int run_subcommand(const CommandGroup& group, std::span<const std::string> args, std::FILE* out, bool quiet) {
  if (args.empty()) {
    throw InputError(fmt::format("{}: no command is given; see '{} --help'", group.command, group.command));
  }
  if (args[0] == "--help" || args[0] == "-h") {
    fmt::print(out, "{}", help_text(group));
    return 0;
  }
  const auto found = std::ranges::find(group.subcommands, args[0], &Subcommand::name);
  if (found == group.subcommands.end()) {
    throw InputError(unknown(group, args[0]));
  }
  return found->run(args.subspan(1), out, quiet);
}

}  // namespace kvr::cli

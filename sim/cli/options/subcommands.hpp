#pragma once

#include <cstdio>
#include <span>
#include <string>
#include <string_view>

namespace kvr::cli {

/// One of the commands that share a first word, or none: `kvreplay device` has curve, fit and probe.
struct Subcommand {
  std::string_view name;
  std::string_view doc;
  /// `args` follow the name; `quiet`: no progress. Returns the exit code.
  int (*run)(std::span<const std::string> args, std::FILE* out, bool quiet);
};

/// An option that may stand in place of a command.
struct GroupOption {
  std::string_view name;  ///< dashes included
  std::string_view doc;
};

/// `command` as it is typed, e.g. "kvreplay device"; `options` beside --help, which the caller reads.
struct CommandGroup {
  std::string_view command;
  std::span<const Subcommand> subcommands;
  std::span<const GroupOption> options = {};
};

/// Runs what the first of `args` names, with the rest, or prints the help. Throws InputError where there is
/// no such command.
int run_subcommand(const CommandGroup& group, std::span<const std::string> args, std::FILE* out, bool quiet);

}  // namespace kvr::cli

#pragma once

#include <boost/program_options.hpp>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvr::cli {

/// A word that is no option, e.g. the file that a command reads.
struct Argument {
  std::string name;  ///< under which `parse` returns it: a text, or a list of them where there may be `many`
  std::string what;  ///< it is, for the message where it is missing; empty: it may be
  bool many = false;
};

/// What may stand after the name of a command.
struct Syntax {
  /// `command` as it is typed, e.g. "kvreplay run"; `usage`: what follows it, e.g. "CONFIG.yaml [options]".
  Syntax(std::string command, std::string usage, std::vector<Argument> arguments);

  std::string command;
  std::string usage;
  std::vector<Argument> arguments;
  boost::program_options::options_description options;  ///< --help is there already
};

/// Reads `args`. Empty where help was asked for, which is then printed to `out`. Names of options are whole:
/// guessing would turn a slip into another option. An option is given once unless it is composing, as
/// --name=VALUE, --name VALUE, -nVALUE or -n VALUE; only arguments follow `--`. Throws InputError with
/// everything that is wrong.
std::optional<boost::program_options::variables_map> parse(const Syntax& syntax,
                                                           std::span<const std::string> args, std::FILE* out);

/// The text of option `name`, empty where it was not given.
std::string text_of(const boost::program_options::variables_map& values, const char* name);

/// The texts of an option that may be repeated, none where it was not given.
std::vector<std::string> texts_of(const boost::program_options::variables_map& values, const char* name);

/// The value of option `name`, which has no default, where it was given.
template <class Value>
std::optional<Value> given_value(const boost::program_options::variables_map& values, const char* name) {
  return values.count(name) > 0 ? std::optional(values[name].as<Value>()) : std::nullopt;
}

}  // namespace kvr::cli

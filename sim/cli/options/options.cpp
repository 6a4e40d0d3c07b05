#include "sim/cli/options/options.hpp"

#include <fmt/format.h>

#include <sstream>
#include <utility>

#include "sim/base/error.hpp"
#include "sim/cli/options/words.hpp"

namespace kvr::cli {
namespace {

namespace po = boost::program_options;

po::options_description with_arguments(const Syntax& syntax) {
  po::options_description all;
  all.add(syntax.options);
  for (const Argument& argument : syntax.arguments) {
    if (argument.many) {
      all.add_options()(argument.name.c_str(), po::value<std::vector<std::string>>()->composing());
    } else {
      all.add_options()(argument.name.c_str(), po::value<std::string>());
    }
  }
  return all;
}

std::string help_text(const Syntax& syntax) {
  std::ostringstream stream;
  stream << "usage: " << syntax.command << " " << syntax.usage << "\n\n" << syntax.options;
  return stream.str();
}

}  // namespace

Syntax::Syntax(std::string command_typed, std::string usage_after, std::vector<Argument> arguments_taken)
    : command(std::move(command_typed)),
      usage(std::move(usage_after)),
      arguments(std::move(arguments_taken)),
      options("options") {
  options.add_options()("help,h", "this text");
}

std::optional<po::variables_map> parse(const Syntax& syntax, std::span<const std::string> args,
                                       std::FILE* out) {
  const po::options_description all = with_arguments(syntax);
  const Words words(syntax, all, args);
  if (words.ask_for_help()) {
    fmt::print(out, "{}", help_text(syntax));
    return std::nullopt;
  }
  if (!words.problems().empty()) {
    throw InputError(words.problems());
  }
  po::variables_map values;
  po::store(words.parsed(), values);
  po::notify(values);
  return values;
}

std::string text_of(const po::variables_map& values, const char* name) {
  return given_value<std::string>(values, name).value_or("");
}

std::vector<std::string> texts_of(const po::variables_map& values, const char* name) {
  return given_value<std::vector<std::string>>(values, name).value_or(std::vector<std::string>());
}

}  // namespace kvr::cli

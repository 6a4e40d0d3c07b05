#include "sim/cli/options.hpp"

#include <fmt/format.h>

#include <sstream>
#include <vector>

#include "sim/base/error.hpp"

namespace kvr::cli {

namespace po = boost::program_options;

po::variables_map parse(std::string_view command, std::span<const std::string> args,
                        const po::options_description& options,
                        std::span<const std::string_view> positional) {
  po::positional_options_description places;
  for (const std::string_view name : positional) {
    places.add(std::string(name).c_str(), 1);
  }
  // Guessing would turn a slip into another option.
  const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  po::variables_map values;
  try {
    const std::vector<std::string> words(args.begin(), args.end());
    po::store(po::command_line_parser(words).options(options).positional(places).style(style).run(), values);
    po::notify(values);
  } catch (const po::error& error) {
    throw InputError(fmt::format("{}: {}; see '{} --help'", command, error.what(), command));
  }
  return values;
}

std::string help_text(std::string_view usage, const po::options_description& options) {
  std::ostringstream stream;
  stream << "usage: " << usage << "\n\n" << options;
  return stream.str();
}

std::string text_of(const po::variables_map& values, const char* name) {
  return values.count(name) > 0 ? values[name].as<std::string>() : "";
}

}  // namespace kvr::cli

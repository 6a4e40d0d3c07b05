#pragma once

#include <boost/program_options.hpp>
#include <span>
#include <string>

namespace kvr::cli {

/// Reads `args` by `options`, where words without a dash go to the options named in `positional`, in order.
/// Wrong usage is an InputError that names `command`.
boost::program_options::variables_map parse(std::string_view command, std::span<const std::string> args,
                                            const boost::program_options::options_description& options,
                                            std::span<const std::string_view> positional);

/// "usage: ..." and the options.
std::string help_text(std::string_view usage, const boost::program_options::options_description& options);

/// The text of option `name`, empty where it was not given.
std::string text_of(const boost::program_options::variables_map& values, const char* name);

}  // namespace kvr::cli

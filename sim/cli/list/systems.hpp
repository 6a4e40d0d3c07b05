#pragma once

#include <string>

namespace kvr::cli {

/// What the systems of configs/systems say of themselves, a line each; with a name or a file, all that one
/// says. Throws InputError with everything that is wrong with the files.
std::string systems_text(const std::string& name);

/// The same in Markdown, a row each; of all of them configs/systems/README.md.
std::string systems_markdown(const std::string& name);

}  // namespace kvr::cli

#pragma once

#include <string>

namespace kvr::cli {

/// How far the shipped devices are from what was measured (configs/measured), at both fidelities, in
/// Markdown: a table of errors, then the rows that do not count, each with the reason.
std::string validation_markdown();

/// The same of one device, as the comment lines that its file holds.
std::string validation_comment(const std::string& device);

}  // namespace kvr::cli

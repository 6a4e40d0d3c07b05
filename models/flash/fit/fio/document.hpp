#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kvr::flash::fit {

/// Deeper than anything that fio writes, and shallow enough for what walks a document by recursion.
inline constexpr std::size_t kMostJsonLevels = 32;

/// The document that `text` holds: from the first line that begins with '{' to the end of that object. Lines
/// before and behind it are notes of fio, which it writes to its output file too. Empty where there is no
/// JSON or a second document, or where it is nested too deeply or has a number that no double holds; why is
/// then in `problems`, under the name `file`.
std::optional<nlohmann::json> parse_fio_document(const std::string& file, std::string_view text,
                                                 std::vector<std::string>& problems);

/// As much of what a file holds as a message may repeat.
std::string shortened(std::string_view text);

}  // namespace kvr::flash::fit

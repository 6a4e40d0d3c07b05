#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace kvr {

/// Objects keep the order in which their keys were added.
using Json = nlohmann::ordered_json;

/// Indented, with a newline at the end. JSON must be UTF-8, which names of files need not be: what is none is
/// replaced. What is no finite number becomes null.
std::string json_text(const Json& json);

/// The same on one line, without a newline.
std::string json_line(const Json& json);

/// `text` in quotes and in ASCII, as JSON and as YAML write it.
std::string quoted_ascii(std::string_view text);

}  // namespace kvr

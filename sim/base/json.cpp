#include "sim/base/json.hpp"

namespace kvr {
namespace {

constexpr int kIndent = 2;
constexpr int kOneLine = -1;

std::string dumped(const Json& json, int indent, bool ascii) {
  return json.dump(indent, ' ', ascii, Json::error_handler_t::replace);
}

}  // namespace

std::string json_text(const Json& json) {
  return dumped(json, kIndent, false) + '\n';
}

std::string json_line(const Json& json) {
  return dumped(json, kOneLine, false);
}

std::string quoted_ascii(std::string_view text) {
  return dumped(text, kOneLine, true);
}

}  // namespace kvr

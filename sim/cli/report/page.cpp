#include "sim/cli/report/page.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/base/json.hpp"
#include "sim/cli/report/page_parts.hpp"

namespace kvr::cli {
namespace {

/// An element that a browser does not run; no text of a file ends it, as none has a "<" left.
std::string data_element(std::string_view id, const Json& json) {
  std::string text;
  for (const char c : json_line(json)) {
    text += c == '<' ? "\\u003c" : std::string(1, c);
  }
  return fmt::format("<script type=\"application/json\" id=\"{}\">{}</script>\n", id, text);
}

std::string data_elements(const report::PageData& data) {
  std::string text = data_element("results", data.page);
  for (const Json& steps : data.steps) {
    text += data_element(fmt::format("steps-{}", steps.at("point").get<std::size_t>()), steps);
  }
  return text;
}

}  // namespace

std::string page_text(const report::PageData& data) {
  const PageParts parts = page_parts();
  const std::string elements = data_elements(data);
  struct Place {
    std::string_view mark;
    std::string_view text;
  };
  // In the order of the page, each once.
  const std::array places{Place{"/*STYLE*/", parts.style}, Place{"<!--DATA-->", elements},
                          Place{"LICENCE", parts.library_licence}, Place{"/*LIBRARY*/", parts.library},
                          Place{"/*SCRIPT*/", parts.script}};
  std::string text;
  std::string_view rest = parts.html;
  for (const Place& place : places) {
    const std::size_t at = rest.find(place.mark);
    KVR_CHECK(at != std::string_view::npos, "the page has no place for {}", place.mark);
    text.append(rest.substr(0, at)).append(place.text);
    rest.remove_prefix(at + place.mark.size());
  }
  return text.append(rest);
}

}  // namespace kvr::cli

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "sim/base/param_text.hpp"
#include "sim/config/resolved.hpp"

namespace kvr::config {

namespace {

/// Words that some YAML reader takes for something other than a text.
bool is_reserved(std::string_view text) {
  constexpr std::array<std::string_view, 9> kReserved = {"true", "false", "null", "yes", "no",
                                                         "on",   "off",   "y",    "n"};
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kReserved, lower) != kReserved.end();
}

bool is_plain(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto inner = [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '/' || c == '-';
  };
  return !text.empty() && (letter(text[0]) || text[0] == '/') && std::ranges::all_of(text, inner) &&
         !is_reserved(text);
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  return quoted;
}

std::string write_scalar(const Resolved& node) {
  const std::string text = format_value(node.value, node.spec);
  return node.spec.type == ValueType::text && !is_plain(text) ? quote(text) : text;
}

void write(const Resolved& node, const std::string& lead, const std::string& indent, std::string& out);

/// The children of a map; the first one follows `lead`, which may hold the dash of a list element.
void write_children(const Resolved& node, std::string_view lead, const std::string& indent,
                    std::string& out) {
  for (const Resolved& child : node.children) {
    write(child, fmt::format("{}{}:", lead, child.key), indent, out);
    lead = indent;
  }
}

void write(const Resolved& node, const std::string& lead, const std::string& indent, std::string& out) {
  out += lead;
  if (node.kind == NodeKind::scalar) {
    out += fmt::format(" {}\n", write_scalar(node));
  } else if (node.kind == NodeKind::map) {
    out += '\n';
    const std::string deeper = fmt::format("{}  ", indent);
    write_children(node, deeper, deeper, out);
  } else if (node.children.empty()) {
    out += " []\n";
  } else {
    out += '\n';
    for (const Resolved& element : node.children) {
      write_children(element, fmt::format("{}  - ", indent), fmt::format("{}    ", indent), out);
    }
  }
}

}  // namespace

std::string dump_yaml(const Resolved& root) {
  std::string out;
  write_children(root, "", "", out);
  return out;
}

}  // namespace kvr::config

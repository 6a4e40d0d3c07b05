#include "sim/cli/explain_command.hpp"

#include <fmt/format.h>

#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/cli/options/options.hpp"
#include "sim/cli/table.hpp"
#include "sim/config/resolved.hpp"
#include "sim/config/text/suggest.hpp"

namespace kvr {

namespace {

namespace po = boost::program_options;
using config::NodeKind;
using config::Resolved;

/// Rows of key, value and place for every leaf below `node`.
void collect(const Resolved& node, const std::string& path, std::vector<std::vector<std::string>>& rows) {
  if (node.kind == NodeKind::scalar) {
    const std::string text = format_value(node.value, node.spec);
    rows.push_back({path, text.empty() ? "\"\"" : text, config::to_string(node.mark)});
  }
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    const Resolved& child = node.children[i];
    collect(child, config::join_path(path, node.kind == NodeKind::list ? std::to_string(i) : child.key),
            rows);
  }
}

/// The rows at or below `key`; all of them for an empty key.
cli::Table select(const std::vector<std::vector<std::string>>& rows, const std::string& key) {
  cli::Table table;
  for (const auto& row : rows) {
    if (key.empty() || row[0] == key || row[0].starts_with(key + ".")) {
      table.rows.push_back(row);
    }
  }
  if (table.rows.empty()) {
    std::vector<std::string_view> known;
    for (const auto& row : rows) {
      known.push_back(row[0]);
    }
    throw InputError(fmt::format("no such key ({}); {}", key, config::suggestion(key, known)));
  }
  return table;
}

}  // namespace

int run_explain_command(std::span<const std::string> args, std::FILE* out) {
  cli::Syntax syntax("kvreplay explain", "CONFIG.yaml [KEY] [options]",
                     {{"config", "configuration"}, {"key", ""}});
  syntax.options.add_options()("set", po::value<std::vector<std::string>>()->composing(),
                               "KEY=VALUE, laid over the configuration; may be repeated");
  const auto given = cli::parse(syntax, args, out);
  if (!given) {
    return 0;
  }
  const auto points = config::resolve_points(cli::text_of(*given, "config"), cli::texts_of(*given, "set"),
                                             Catalogue::instance());
  for (const config::ResolvedPoint& point : points) {
    std::vector<std::vector<std::string>> rows;
    collect(point.root, "", rows);
    const std::string heading = points.size() > 1 ? fmt::format("# {}\n", point.name) : "";
    fmt::print(out, "{}{}", heading, cli::plain_table(select(rows, cli::text_of(*given, "key"))));
  }
  return 0;
}

}  // namespace kvr

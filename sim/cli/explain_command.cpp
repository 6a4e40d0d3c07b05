#include "sim/cli/explain_command.hpp"

#include <fmt/format.h>

#include <array>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/param_text.hpp"
#include "sim/cli/options.hpp"
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
  po::options_description options("options");
  options.add_options()("help,h", "this text")("set", po::value<std::vector<std::string>>()->composing(),
                                               "KEY=VALUE, laid over the configuration; may be repeated");
  po::options_description all;
  all.add(options).add_options()("config", po::value<std::string>(), "")("key", po::value<std::string>(), "");
  constexpr std::array<std::string_view, 2> kPositional = {"config", "key"};
  const auto values = cli::parse("kvreplay explain", args, all, kPositional);
  if (values.count("help") > 0) {
    fmt::print(out, "{}", cli::help_text("kvreplay explain CONFIG.yaml [KEY] [options]", options));
    return 0;
  }
  if (values.count("config") == 0) {
    throw InputError("kvreplay explain: no configuration is given; see 'kvreplay explain --help'");
  }
  const auto sets =
      values.count("set") > 0 ? values["set"].as<std::vector<std::string>>() : std::vector<std::string>();
  const auto points = config::resolve_points(cli::text_of(values, "config"), sets, Catalogue::instance());
  for (const config::ResolvedPoint& point : points) {
    std::vector<std::vector<std::string>> rows;
    collect(point.root, "", rows);
    const std::string heading = points.size() > 1 ? fmt::format("# {}\n", point.name) : "";
    fmt::print(out, "{}{}", heading, cli::plain_table(select(rows, cli::text_of(values, "key"))));
  }
  return 0;
}

}  // namespace kvr

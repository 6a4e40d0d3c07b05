#include "sim/cli/compare/rules_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "sim/config/text/source.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/config/text/tree.hpp"

namespace kvr::cli {
namespace {

using compare::Direction;
using compare::Rule;
using config::Node;
using config::NodeKind;

constexpr std::array<std::string_view, 6> kKeys = {"metric",   "points",     "direction",
                                                   "max_drop", "max_growth", "ignore"};
constexpr std::array<std::string_view, 4> kDirections = {"up", "down", "same", "any"};
constexpr std::array<std::string_view, 2> kTruths = {"true", "false"};

/// One rule on its way out of the file.
class RuleReader {
 public:
  RuleReader(const Node& node, const std::string& path, const Measures& measures, config::Problems& problems)
      : node_(node), path_(path), measures_(measures), problems_(problems) {}

  Rule read() {
    if (node_.kind != NodeKind::map) {
      refuse(node_, "",
             fmt::format("is not a map ({}); allowed: {}", describe(node_), fmt::join(kKeys, ", ")));
      return {};
    }
    check_keys();
    Rule rule;
    rule.metric = text("metric").value_or(rule.metric);
    rule.points = text("points").value_or(rule.points);
    if (measures_.units(rule.metric).empty()) {
      refuse(*node_.find("metric"), "metric", unknown_measure(rule.metric));
      return rule;
    }
    rule.max_drop = tolerance("max_drop", rule.metric);
    rule.max_growth = tolerance("max_growth", rule.metric);
    if (const auto word = choice("direction", kDirections)) {
      rule.direction = static_cast<Direction>(*word);
    }
    if (const auto word = choice("ignore", kTruths)) {
      rule.ignore = *word == 0;
    }
    return rule;
  }

 private:
  void refuse(const Node& node, std::string_view key, const std::string& what) {
    problems_.add(node.mark, key.empty() ? path_ : config::join_path(path_, key), what);
  }

  void check_keys() {
    for (const Node& child : node_.children) {
      if (std::ranges::find(kKeys, child.key) == kKeys.end()) {
        refuse(child, child.key, fmt::format("unknown key; {}", config::suggestion(child.key, kKeys)));
      }
    }
    const bool says_something = std::ranges::any_of(
        node_.children, [](const Node& child) { return child.key != "metric" && child.key != "points"; });
    if (!says_something) {
      refuse(node_, "", "says nothing of what it is about; allowed: direction, max_drop, max_growth, ignore");
    }
  }

  /// Of `key`, where it is there and a text.
  std::optional<std::string> text(std::string_view key) {
    const Node* value = node_.find(key);
    if (value == nullptr) {
      return std::nullopt;
    }
    if (value->kind != NodeKind::scalar || value->text.empty()) {
      refuse(*value, key, fmt::format("is no text ({}); allowed: one", describe(*value)));
      return std::nullopt;
    }
    return value->text;
  }

  std::optional<compare::Tolerance> tolerance(std::string_view key, const std::string& metric) {
    const std::optional<std::string> given = text(key);
    if (!given) {
      return std::nullopt;
    }
    const ReadTolerance read = read_tolerance(*given, metric, measures_);
    if (!read.tolerance) {
      refuse(*node_.find(key), key, read.problem);
    }
    return read.tolerance;
  }

  /// Which of `words` stands at `key`.
  std::optional<std::size_t> choice(std::string_view key, std::span<const std::string_view> words) {
    const std::optional<std::string> given = text(key);
    if (!given) {
      return std::nullopt;
    }
    const auto found = std::ranges::find(words, *given);
    if (found == words.end()) {
      refuse(*node_.find(key), key, fmt::format("'{}'; {}", *given, config::suggestion(*given, words)));
      return std::nullopt;
    }
    return static_cast<std::size_t>(found - words.begin());
  }

  const Node& node_;
  const std::string& path_;
  const Measures& measures_;
  config::Problems& problems_;
};

/// Empty, once reported, where there is no such file or it is too long.
std::optional<std::string> text_of(const std::filesystem::path& file, config::Problems& problems) {
  const config::Mark whole{file.string(), 0, 0};
  std::error_code unknown;
  if (!config::is_stream(file) && !std::filesystem::is_regular_file(file, unknown)) {
    problems.add(whole, "", std::filesystem::exists(file, unknown) ? "is not a file" : "no such file");
    return std::nullopt;
  }
  std::string text = config::read_text(file, config::kMaxTextBytes + 1);
  if (text.size() > config::kMaxTextBytes) {
    problems.add(whole, "", fmt::format("is too long; allowed: {} bytes", config::kMaxTextBytes));
    return std::nullopt;
  }
  return text;
}

}  // namespace

std::vector<Rule> read_rules(const std::filesystem::path& file, const Measures& measures,
                             config::Problems& problems) {
  const std::optional<std::string> text = text_of(file, problems);
  if (!text) {
    return {};
  }
  config::ReadBudget budget;
  const Node root = config::parse_yaml(*text, file.string(), problems, budget);
  if (problems.fatal()) {
    return {};
  }
  if (root.kind != NodeKind::list) {
    problems.add(root.mark, "",
                 fmt::format("is not a list ({}); allowed: rules, e.g. "
                             "- {{metric: recall, max_drop: 0.005}}",
                             describe(root)));
    return {};
  }
  std::vector<Rule> rules;
  for (std::size_t i = 0; i < root.children.size(); ++i) {
    rules.push_back(RuleReader(root.children[i], std::to_string(i), measures, problems).read());
  }
  return rules;
}

}  // namespace kvr::cli

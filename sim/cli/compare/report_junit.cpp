// JUnit XML as CI servers read it: testsuites, testsuite, testcase, failure, system-out.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/cli/compare/report.hpp"
#include "sim/cli/result/value_text.hpp"
#include "sim/config/text/text_check.hpp"

namespace kvr::cli {
namespace {

using compare::Move;
using compare::Verdict;

struct Case {
  std::string suite;
  std::string name;
  std::optional<std::string> failure;
  std::string remark;  ///< of one that has not failed
};

/// `text` of which XML 1.0 takes every character: UTF-8 without controls.
std::string characters_of(const std::string& text) {
  std::string characters = printable(text);
  while (const auto bad = config::find_bad_byte(characters)) {
    characters[bad->at] = '?';
  }
  return characters;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : characters_of(text)) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string move_text(const Move& move) {
  const std::string seeds = seeds_text(move.difference);
  std::string text = fmt::format("{}: {} -> {} ({}, {}{}); allowed: {}", verdict_name(move.verdict),
                                 value_text(move.difference.base, move.unit),
                                 value_text(move.difference.now, move.unit), change_text(move),
                                 relative_text(move), seeds.empty() ? "" : ", " + seeds, allowed_text(move));
  return move.first ? fmt::format("{}; first: {}", text, place_text(*move.first)) : text;
}

Case case_of(const std::string& suite, const std::string& name, bool failed, const std::string& text) {
  return failed ? Case{suite, name, text, {}} : Case{suite, name, std::nullopt, text};
}

Case case_of(const Move& move) {
  return case_of(move.point, move.summary, move.verdict == Verdict::regression,
                 move.verdict == Verdict::same ? "" : move_text(move));
}

Case case_of(const compare::StepMove& move) {
  return case_of(move.point, move.first.dataset + " by step", move.regression,
                 fmt::format("seed {}: {}", move.seed, place_text(move.first)));
}

std::vector<Case> cases_of(const CompareReport& report) {
  std::vector<Case> cases;
  for (const Move& move : report.comparison.moves) {
    cases.push_back(case_of(move));
  }
  for (const compare::StepMove& move : report.comparison.step_moves) {
    cases.push_back(case_of(move));
  }
  const auto add_missing = [&](const std::string& suite, const std::string& name, bool regression = true) {
    cases.push_back(
        case_of(suite, name, regression && !report.partial, fmt::format("missing in {}", report.now.name)));
  };
  for (const std::string& point : report.comparison.missing_points) {
    add_missing(point, "point");
  }
  for (const std::string& summary : report.comparison.missing_summaries) {
    add_missing("results", summary);
  }
  for (const compare::LostMetric& metric : report.comparison.missing_metrics) {
    add_missing("results", metric.name + " by step", metric.regression);
  }
  std::ranges::stable_sort(cases, {}, &Case::suite);
  return cases;
}

std::size_t failures_in(std::span<const Case> cases) {
  return static_cast<std::size_t>(
      std::ranges::count_if(cases, [](const Case& one) { return one.failure.has_value(); }));
}

std::string case_text(const Case& one) {
  const std::string head =
      fmt::format("    <testcase classname=\"{}\" name=\"{}\"", escaped(one.suite), escaped(one.name));
  if (one.failure) {
    const std::string text = escaped(*one.failure);
    return fmt::format("{}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>\n", head, text,
                       text);
  }
  return one.remark.empty() ? head + "/>\n"
                            : fmt::format("{}>\n      <system-out>{}</system-out>\n    </testcase>\n", head,
                                          escaped(one.remark));
}

std::string suite_text(std::span<const Case> cases) {
  std::string text = fmt::format("  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\">\n",
                                 escaped(cases.front().suite), cases.size(), failures_in(cases));
  for (const Case& one : cases) {
    text += case_text(one);
  }
  return text + "  </testsuite>\n";
}

}  // namespace

std::string compare_junit(const CompareReport& report) {
  const std::vector<Case> cases = cases_of(report);
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"kvreplay compare\" tests=\"{}\" failures=\"{}\">\n",
      cases.size(), failures_in(cases));
  for (auto begin = cases.begin(); begin != cases.end();) {
    const auto end =
        std::find_if(begin, cases.end(), [&](const Case& one) { return one.suite != begin->suite; });
    text += suite_text({begin, end});
    begin = end;
  }
  return text + "</testsuites>\n";
}

}  // namespace kvr::cli

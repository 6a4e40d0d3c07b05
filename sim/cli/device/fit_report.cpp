#include "sim/cli/device/fit_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/base/param_text.hpp"
#include "sim/base/units.hpp"
#include "sim/cli/table.hpp"

namespace kvr::cli {
namespace {

using flash::fit::ErrorSummary;
using flash::fit::Finding;
using flash::fit::JudgedRow;
using flash::fit::Origin;
using flash::fit::Row;
using flash::fit::Use;

constexpr double kPercent = 100.0;

struct UseText {
  Use use;
  std::string_view name;
  std::string_view doc;
};
constexpr std::array kUses = {
    UseText{Use::fitted, "fitted", "fitted"}, UseText{Use::held_out, "held out", "held out"},
    UseText{Use::threads, "threads", "of several threads with a queue each, which fit contention only"},
    UseText{Use::writes, "writes", "writes, which fit their rates only"},
    UseText{Use::rejected, "rejected", "rejected"}};

std::string_view name_of(Use use) {
  return std::ranges::find(kUses, use, &UseText::use)->name;
}

std::string size_text(std::int64_t bytes) {
  return format_quantity(static_cast<double>(bytes), Quantity::bytes);
}

std::string origin_text(const Finding& finding, const std::string& base) {
  switch (finding.origin) {
    case Origin::fitted:
      return fmt::format("fitted: {}", finding.how);
    case Origin::base:
      return fmt::format("from {}: {}", base, finding.how);
    case Origin::assumed:
      break;
  }
  return fmt::format("assumed: {}", finding.how);
}

/// Comments end with the line, so what somebody typed must not hold one.
std::string one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return text;
}

std::string comment_of(const FitReport& report, const std::string& name) {
  if (name == "name") {
    return "given";
  }
  const auto& findings = report.result.model.findings;
  const auto found = findings.find(name);
  return one_line(found == findings.end() ? fmt::format("from {}", report.base)
                                          : origin_text(found->second, report.base));
}

std::string error_text(double predicted, const Row& row) {
  return predicted == 0.0 ? "-" : fmt::format("{:+.1f} %", kPercent * (predicted / row.requests_per_s - 1.0));
}

std::string rate_text(double predicted) {
  return predicted == 0.0 ? "-" : fmt::format("{:.0f}", predicted);
}

Table parameter_table(const FitReport& report) {
  Table table{{"parameter", "value", "identified by"}, {}};
  for (const auto& param : flash::device_param_table()) {
    const ParamSpec& spec = param.spec();
    if (report.result.model.findings.count(spec.name) > 0) {
      table.rows.push_back({spec.name, format_value(param.get(report.result.model.device), spec),
                            comment_of(report, spec.name)});
    }
  }
  return table;
}

Table row_table(const FitReport& report) {
  Table table{{"row", "size", "depth", "threads", "range", "measured/s", "analytic/s", "error", "queueing/s",
               "error", "use"},
              {}};
  for (const JudgedRow& judged : report.result.rows) {
    const Row& row = judged.row;
    table.rows.push_back(
        {one_line(row.name), size_text(row.bytes), fmt::format("{}", row.depth),
         fmt::format("{}", row.threads), size_text(row.range_bytes), rate_text(row.requests_per_s),
         rate_text(judged.closed), error_text(judged.closed, row), rate_text(judged.event),
         error_text(judged.event, row),
         judged.why.empty() ? std::string(name_of(judged.use)) : fmt::format("rejected: {}", judged.why)});
  }
  return table;
}

Table error_table(const FitReport& report) {
  Table table{{"rows", "number", "analytic median", "RMS", "worst", "queueing median", "RMS", "worst"}, {}};
  for (const Use use : flash::fit::kJudgedUses) {
    const ErrorSummary closed = report.result.errors(use, false);
    const ErrorSummary event = report.result.errors(use, true);
    if (closed.rows > 0) {
      const auto percent = [](double share) { return fmt::format("{:.1f} %", kPercent * share); };
      const auto signed_percent = [](double share) { return fmt::format("{:+.1f} %", kPercent * share); };
      table.rows.push_back({std::string(name_of(use)), fmt::format("{}", closed.rows), percent(closed.median),
                            percent(closed.rms), signed_percent(closed.worst), percent(event.median),
                            percent(event.rms), signed_percent(event.worst)});
    }
  }
  return table;
}

std::string counted_uses(const FitReport& report) {
  std::string text;
  for (const UseText& use : kUses) {
    const auto count = std::ranges::count(report.result.rows, use.use, &JudgedRow::use);
    if (count > 0) {
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, use.doc);
    }
  }
  return text;
}

/// `text` as comment lines.
std::string commented(const std::string& text) {
  std::string result;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    result += end == begin ? "#\n" : fmt::format("#   {}\n", text.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

/// The rows that an acceptance looks at.
std::pair<Use, std::string_view> judged_rows(const FitReport& report) {
  return report.result.errors(Use::held_out, false).rows > 0
             ? std::pair{Use::held_out, std::string_view("held out")}
             : std::pair{Use::fitted, std::string_view("fitted")};
}

bool event_is_nearer(const FitReport& report) {
  const Use use = judged_rows(report).first;
  return report.result.errors(use, true).rms < report.result.errors(use, false).rms;
}

}  // namespace

std::string fit_tables(const FitReport& report) {
  return fmt::format("{}\n{}\n{}", plain_table(parameter_table(report)), plain_table(row_table(report)),
                     plain_table(error_table(report)));
}

std::string fit_doubt(const FitReport& report) {
  std::string doubt;
  for (const Use use : flash::fit::kJudgedUses) {
    for (const bool event : {false, true}) {
      if (report.result.accepted(use, event)) {
        continue;
      }
      const ErrorSummary errors = report.result.errors(use, event);
      doubt += fmt::format("{}{} is off by {:.1f} % RMS and {:+.1f} % at worst on {} ({})",
                           doubt.empty() ? "" : "; ", event ? "queueing" : "analytic", kPercent * errors.rms,
                           kPercent * errors.worst, name_of(use), errors.rows);
    }
  }
  return doubt.empty()
             ? ""
             : fmt::format("not accepted: {}; accepted: {:.0f} % RMS and {:.0f} %", doubt,
                           kPercent * flash::fit::kAcceptedRms, kPercent * flash::fit::kAcceptedWorst);
}

std::string fit_untested(const FitReport& report) {
  const auto count = [&](Use use) { return std::ranges::count(report.result.rows, use, &JudgedRow::use); };
  return count(Use::held_out) > 0 ? ""
                                  : fmt::format(
                                        "not tested: no read of one queue was held out (--holdout), {} "
                                        "fitted, so that how far off "
                                        "other reads are is not known",
                                        count(Use::fitted));
}

std::string fit_yaml(const FitReport& report) {
  std::string text = fmt::format("# {}\n#\n", one_line(report.command));
  for (const std::string& remark : {fit_doubt(report), fit_untested(report)}) {
    text += remark.empty() ? "" : fmt::format("# {}.\n#\n", remark);
  }
  text += fmt::format("# Rows: {}.\n", counted_uses(report));
  text += commented(plain_table(row_table(report)));
  text += fmt::format("#\n# Errors, relative, of requests per second:\n{}",
                      commented(plain_table(error_table(report))));
  text += fmt::format(
      "#\n# \"fitted\": from these rows; \"from {}\": the rows do not show it; \"assumed\": "
      "neither.\ndevice:\n"
      "  type: {}  # the fidelity that is nearer to the rows {}; the other reads the same values\n",
      one_line(report.base), event_is_nearer(report) ? "queueing" : "analytic", judged_rows(report).second);
  std::vector<std::array<std::string, 2>> lines;
  std::size_t width = 0;
  for (const auto& param : flash::device_param_table()) {
    const ParamSpec& spec = param.spec();
    std::string value = format_value(param.get(report.result.model.device), spec);
    if (spec.name == "name") {
      value = quoted_ascii(value);
    }
    lines.push_back({fmt::format("{}: {}", spec.name, value), comment_of(report, spec.name)});
    width = std::max(width, lines.back()[0].size());
  }
  for (const auto& [setting, comment] : lines) {
    text += fmt::format("  {:{}}  # {}\n", setting, width, comment);
  }
  return text;
}

}  // namespace kvr::cli

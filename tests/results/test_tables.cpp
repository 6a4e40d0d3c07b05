#include <doctest/doctest.h>

#include <set>
#include <string>

#include "sim/results/metrics.hpp"

using namespace kvr;

TEST_CASE("the table of metrics is in the order of the enumeration and ends with its last member") {
  const auto table = metric_table();
  for (std::size_t index = 0; index < table.size(); ++index) {
    CAPTURE(table[index].name);
    CHECK(static_cast<std::size_t>(table[index].id) == index);
  }
  CHECK(table.back().id == Metric::truth_kernel_s);
  CHECK(table[static_cast<std::size_t>(Metric::contiguous_mean_entries)].name == "contiguous_mean_entries");
  CHECK(info(Metric::latency_s).name == "latency_s");
}

TEST_CASE("metrics and summaries have names of their own, units, a meaning and a formula") {
  std::set<std::string_view> names;
  for (const MetricInfo& metric : metric_table()) {
    CAPTURE(metric.name);
    CHECK(names.insert(metric.name).second);
    CHECK_FALSE((metric.unit.empty() || metric.long_name.empty() || metric.formula.empty()));
    CHECK(metric.name.find('.') == std::string_view::npos);  // as figures of policies have
  }
  for (const SummaryInfo& summary : summary_table()) {
    CAPTURE(summary.name);
    CHECK(names.insert(summary.name).second);
    CHECK(summary.name.find('.') == std::string_view::npos);
    CHECK_FALSE((summary.unit.empty() || summary.long_name.empty() || summary.formula.empty() ||
                 summary.heading.empty()));
  }
}

TEST_CASE("the unit at the end of a metric's name is its unit") {
  for (const MetricInfo& metric : metric_table()) {
    CAPTURE(metric.name);
    CHECK(metric.name.ends_with("_s") == (metric.unit == "s"));
    CHECK(metric.name.ends_with("_bytes") == (metric.unit == "B"));
  }
}

TEST_CASE("every purpose has its part of the critical path") {
  std::set<Metric> metrics;
  for (std::size_t p = 0; p < kPurposes; ++p) {
    const MetricInfo& metric = info(critical_metric(static_cast<Purpose>(p)));
    CAPTURE(metric.name);
    CHECK(metrics.insert(metric.id).second);
    CHECK(metric.name.starts_with("critical_"));
    CHECK(metric.formula.starts_with("part of critical_"));
  }
  CHECK(info(critical_metric(Purpose::read)).name == "critical_read_s");
  CHECK(info(critical_metric(Purpose::output_head)).name == "critical_output_head_s");
  CHECK(info(critical_metric(Purpose::swap_in)).name == "critical_swap_in_s");
  CHECK(purpose_name(Purpose::swap_in) == "swap in");
}

TEST_CASE("the documentation has a line for every metric and every summary") {
  const std::string text = metrics_markdown();
  for (const MetricInfo& metric : metric_table()) {
    CAPTURE(metric.name);
    CHECK(text.find(std::string(metric.name) + "` |") != std::string::npos);
  }
  for (const SummaryInfo& summary : summary_table()) {
    CAPTURE(summary.name);
    CHECK(text.find(std::string(summary.name) + "` |") != std::string::npos);
  }
  CHECK(text.find("| `/host/truth_kernel_s` | point, step | s |") != std::string::npos);
  CHECK(text.find("\\|attended and best\\| / \\|best\\|") != std::string::npos);
}

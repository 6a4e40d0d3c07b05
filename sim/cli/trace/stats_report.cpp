#include "sim/cli/trace/stats_report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <functional>

#include "sim/base/json.hpp"
#include "sim/cli/table.hpp"
#include "sim/results/statistics.hpp"

namespace kvr::cli {
namespace {

using Figure = std::function<double(const HeadStatistics&)>;

/// One column of a table: what every head has, and the heads on average.
struct Column {
  std::string name;
  int decimals;
  Figure figure;
};

double mean_of(const TraceStats& stats, const Figure& figure) {
  std::vector<double> figures;
  for (const TraceStats::Head& head : stats.heads) {
    figures.push_back(figure(head.found));
  }
  return mean(figures);
}

std::string figure_text(double value, int decimals) {
  return std::isnan(value) ? "-" : fmt::format("{:.{}f}", value, decimals);
}

std::string table_text(const std::string& title, const TraceStats& stats,
                       const std::vector<Column>& columns) {
  Table table{{"layer", "head"}, {}};
  for (const TraceStats::Head& head : stats.heads) {
    table.rows.push_back({fmt::format("{}", head.layer), fmt::format("{}", head.head)});
  }
  table.rows.push_back({"mean", ""});
  constexpr int kWidth = 6;
  for (const Column& column : columns) {
    table.heading.push_back(fmt::format("{:>{}}", column.name, kWidth));
    const auto add = [&](std::vector<std::string>& row, double value) {
      row.push_back(fmt::format("{:>{}}", figure_text(value, column.decimals), kWidth));
    };
    for (std::size_t i = 0; i < stats.heads.size(); ++i) {
      add(table.rows[i], column.figure(stats.heads[i].found));
    }
    add(table.rows.back(), mean_of(stats, column.figure));
  }
  return fmt::format("\n{}\n{}", title, plain_table(table));
}

std::vector<Column> entries_columns() {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < AttentionMass::kShares.size(); ++i) {
    columns.push_back({fmt::format("{:g}%", 100.0 * AttentionMass::kShares[i]), 1,
                       [i](const HeadStatistics& head) { return head.entries_for[i].mean; }});
    columns.push_back({"p95", 1, [i](const HeadStatistics& head) { return head.entries_for[i].p95; }});
    columns.push_back(
        {"share", 3, [i](const HeadStatistics& head) { return head.entries_for[i].visible_share; }});
  }
  return columns;
}

std::vector<Column> place_columns() {
  std::vector<Column> columns;
  columns.push_back({"sinks", 3, &HeadStatistics::sink_mass});
  for (std::size_t i = 0; i < AttentionMass::kWindows.size(); ++i) {
    columns.push_back({fmt::format("last {}", AttentionMass::kWindows[i]), 3,
                       [i](const HeadStatistics& head) { return head.window_mass[i]; }});
  }
  return columns;
}

std::vector<Column> likeness_columns() {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < QueryLikeness::kLags.size(); ++i) {
    columns.push_back({fmt::format("{} back", QueryLikeness::kLags[i]), 3,
                       [i](const HeadStatistics& head) { return head.query_cosine[i]; }});
  }
  return columns;
}

std::vector<Column> units_columns(const TraceStats& stats) {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < stats.plan.units.size(); ++i) {
    columns.push_back(
        {stats.plan.units[i].name, 3, [i](const HeadStatistics& head) { return head.units[i].recall; }});
    columns.push_back({"mass", 3, [i](const HeadStatistics& head) { return head.units[i].mass; }});
  }
  return columns;
}

std::vector<Column> drift_columns() {
  std::vector<Column> columns;
  columns.push_back({"prompt", 3, &HeadStatistics::prompt_variance});
  for (std::size_t i = 0; i < static_cast<std::size_t>(kQuarters); ++i) {
    columns.push_back(
        {fmt::format("Q{}", i + 1), 2, [i](const HeadStatistics& head) { return head.drift[i]; }});
  }
  return columns;
}

double budget_share(const StatisticsPlan& plan) {
  return std::get<double>(plan.budget.values.at("share"));
}

std::string preamble(const TraceStats& stats) {
  const StatisticsPlan& plan = stats.plan;
  const trace::Geometry& geometry = stats.header.geometry;
  return fmt::format(
      "{}: {}, {} query heads per KV head, {} prompt tokens\n"
      "attention of {} of {} decode steps{}, seed {}\n",
      plan.trace_path.string(), stats.header.model_name, geometry.group(), stats.header.prefill_len,
      plan.judged.size(), plan.steps.count,
      std::ssize(plan.judged) < plan.steps.count ? ", evenly spread" : "", plan.seed);
}

Json entries_json(const HeadStatistics& head) {
  Json shares = Json::array();
  for (std::size_t i = 0; i < head.entries_for.size(); ++i) {
    const AttentionMass::Entries& entries = head.entries_for[i];
    shares.push_back({{"mass", AttentionMass::kShares[i]},
                      {"mean", entries.mean},
                      {"p95", entries.p95},
                      {"visible_share", entries.visible_share}});
  }
  return shares;
}

Json window_json(const HeadStatistics& head) {
  Json windows = Json::array();
  for (std::size_t i = 0; i < head.window_mass.size(); ++i) {
    windows.push_back({{"entries", AttentionMass::kWindows[i]}, {"mass", head.window_mass[i]}});
  }
  return windows;
}

Json likeness_json(const HeadStatistics& head) {
  Json lags = Json::array();
  for (std::size_t i = 0; i < head.query_cosine.size(); ++i) {
    lags.push_back({{"steps", QueryLikeness::kLags[i]}, {"cosine", head.query_cosine[i]}});
  }
  return lags;
}

Json units_json(const StatisticsPlan& plan, const HeadStatistics& head) {
  Json units = Json::object();
  for (std::size_t i = 0; i < head.units.size(); ++i) {
    units[plan.units[i].name] = {{"recall", head.units[i].recall}, {"mass", head.units[i].mass}};
  }
  return units;
}

Json head_json(const StatisticsPlan& plan, const TraceStats::Head& head) {
  return {{"layer", head.layer},
          {"head", head.head},
          {"entries_for_mass", entries_json(head.found)},
          {"sink_mass", head.found.sink_mass},
          {"window_mass", window_json(head.found)},
          {"query_cosine", likeness_json(head.found)},
          {"units", units_json(plan, head.found)},
          {"drift", {{"prompt_variance", head.found.prompt_variance}, {"quarters", head.found.drift}}}};
}

}  // namespace

std::string stats_tables(const TraceStats& stats) {
  const StatisticsPlan& plan = stats.plan;
  return preamble(stats) +
         table_text(
             "entries that hold 50 to 99 % of the attention mass: mean, p95, share of the visible ones",
             stats, entries_columns()) +
         table_text(
             fmt::format("attention mass of the {} sinks, and of the last entries without them", plan.sinks),
             stats, place_columns()) +
         table_text("cosine of queries to those of so many steps before", stats, likeness_columns()) +
         table_text(
             fmt::format("recall of the best {:g} % and attention mass, where units are chosen beside {} "
                         "sinks and {} recent entries",
                         100.0 * budget_share(plan), plan.sinks, plan.recent),
             stats, units_columns(stats)) +
         table_text("drift: variance of the prompt's clusters, and that of the keys of each quarter over it",
                    stats, drift_columns());
}

std::string stats_json(const TraceStats& stats) {
  const StatisticsPlan& plan = stats.plan;
  Json heads = Json::array();
  for (const TraceStats::Head& head : stats.heads) {
    heads.push_back(head_json(plan, head));
  }
  return json_text({{"file", plan.trace_path.string()},
                    {"model", stats.header.model_name},
                    {"prompt", stats.header.prefill_len},
                    {"decode_steps", plan.steps.count},
                    {"judged_steps", plan.judged.size()},
                    {"group", stats.header.geometry.group()},
                    {"seed", plan.seed},
                    {"sinks", plan.sinks},
                    {"recent", plan.recent},
                    {"budget_share", budget_share(plan)},
                    {"heads", std::move(heads)}});
}

}  // namespace kvr::cli

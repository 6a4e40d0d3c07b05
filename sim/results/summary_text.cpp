// The summaries for a terminal, and what bounds a step. Few points: a row per summary, a column per point.
// Many: a row per point with the summaries marked for the overview.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "sim/results/statistics.hpp"
#include "sim/results/writer.hpp"

namespace kvr {
namespace {

using Row = std::vector<std::string>;

constexpr std::size_t kWidth = 110;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kNoValue = "-";
constexpr const char* kBoundBy = "bound by";

struct Prefix {
  double factor;
  std::string_view name;
};

/// Three significant digits, more only before the point.
std::string rounded(double value) {
  const double size = std::abs(value);
  return size == 0.0 ? "0" : fmt::format("{:.{}f}", value, size < 9.995 ? 2 : size < 99.95 ? 1 : 0);
}

/// With the largest prefix that leaves at least 1, or the smallest one below that.
template <std::size_t count>
std::string scaled(double value, const std::array<Prefix, count>& prefixes, std::string_view unit) {
  if (value == 0.0) {
    return fmt::format("0 {}", unit);
  }
  const auto fits = [value](const Prefix& prefix) { return std::abs(value) >= prefix.factor; };
  const auto found = std::ranges::find_if(prefixes, fits);
  const Prefix& prefix = found == prefixes.end() ? prefixes.back() : *found;
  return fmt::format("{} {}{}", rounded(value / prefix.factor), prefix.name, unit);
}

constexpr std::array kSmall{Prefix{1.0, ""}, Prefix{1e-3, "m"}, Prefix{1e-6, "u"}, Prefix{1e-9, "n"}};
constexpr std::array kSizes{Prefix{1e12, "T"}, Prefix{1e9, "G"}, Prefix{1e6, "M"}, Prefix{1e3, "k"},
                            Prefix{1.0, ""}};

std::string human(double value, std::string_view unit) {
  if (std::isnan(value)) {
    return kNoValue;
  }
  if (unit == "s" || unit == "J") {
    return scaled(value, kSmall, unit);
  }
  if (unit == "B" || unit == "B/s") {
    return scaled(value, kSizes, unit);
  }
  return unit == "1" ? fmt::format("{:.2f} %", 100.0 * value) : rounded(value);
}

std::vector<std::size_t> widths_of(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows) {
    for (std::size_t column = 0; column < row.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  return widths;
}

std::size_t total_width(const std::vector<Row>& rows) {
  std::size_t total = 0;
  for (const std::size_t width : widths_of(rows)) {
    total += width + 2;
  }
  return total;
}

/// The first column to the left, the others to the right, two spaces between.
std::string aligned(const std::vector<Row>& rows) {
  const std::vector<std::size_t> widths = widths_of(rows);
  std::string text;
  for (const Row& row : rows) {
    text += fmt::format("{:<{}}", row.front(), widths.front());
    for (std::size_t column = 1; column < row.size(); ++column) {
      text += fmt::format("  {:>{}}", row[column], widths[column]);
    }
    text += '\n';
  }
  return text;
}

/// Points that differ in the seed alone.
struct Variant {
  std::string name;
  std::vector<const PointResult*> points;
};

std::vector<Variant> variants_of(std::span<const PointResult> points) {
  std::vector<Variant> variants;
  for (const PointResult& point : points) {
    const auto known = std::ranges::find(variants, point.variant, &Variant::name);
    Variant& variant = known == variants.end() ? variants.emplace_back(Variant{point.variant, {}}) : *known;
    variant.points.push_back(&point);
  }
  for (Variant& variant : variants) {
    if (variant.points.size() == 1) {
      variant.name = variant.points.front()->data.name();
    }
  }
  return variants;
}

/// Of several seeds the mean and half its 95 % interval, unless all are the same.
std::string cell(const SummaryInfo& summary, const Variant& variant) {
  std::vector<double> values;
  for (const PointResult* point : variant.points) {
    values.push_back(summary.compute(point->data));
  }
  const MeanInterval interval = mean_interval(values);
  const std::string mean = human(interval.mean, summary.unit);
  return interval.half_width > 0.0 ? fmt::format("{} +- {}", mean, human(interval.half_width, summary.unit))
                                   : mean;
}

/// What adds most to a step and its share of the time of all steps, "read 62 %".
std::string bound_by(const Variant& variant) {
  std::size_t longest = 0;
  double longest_s = 0.0;
  double all_s = 0.0;
  for (std::size_t p = 0; p < kPurposes; ++p) {
    double critical_s = 0.0;
    for (const PointResult* point : variant.points) {
      const Metric metric = critical_metric(static_cast<Purpose>(p));
      if (!point->data.recorded(metric)) {
        continue;  // a resource that the point does not have
      }
      critical_s += point->data.broken(metric) ? kNan : sum(point->data.values(metric));
    }
    all_s += critical_s;
    longest = critical_s > longest_s ? p : longest;
    longest_s = std::max(longest_s, critical_s);
  }
  return all_s > 0.0 ? fmt::format("{} {:.0f} %", purpose_name(static_cast<Purpose>(longest)),
                                   100.0 * longest_s / all_s)
                     : kNoValue;
}

/// Without those that, of what only some systems do, have no value for any point.
std::vector<Row> row_per_summary(std::span<const Variant> variants) {
  std::vector<Row> rows{{"point"}};
  for (const Variant& variant : variants) {
    rows.front().push_back(variant.name);
  }
  for (const SummaryInfo& summary : summary_table()) {
    Row row{std::string(summary.heading)};
    for (const Variant& variant : variants) {
      row.push_back(cell(summary, variant));
    }
    const bool has_value =
        std::any_of(row.begin() + 1, row.end(), [](const std::string& text) { return text != kNoValue; });
    if (has_value || summary.overview) {
      rows.push_back(std::move(row));
    }
  }
  Row bound{kBoundBy};
  std::ranges::transform(variants, std::back_inserter(bound), bound_by);
  rows.push_back(std::move(bound));
  return rows;
}

std::vector<Row> row_per_variant(std::span<const Variant> variants) {
  std::vector<Row> rows{{"point"}};
  for (const SummaryInfo& summary : summary_table()) {
    if (summary.overview) {
      rows.front().emplace_back(summary.heading);
    }
  }
  rows.front().emplace_back(kBoundBy);
  for (const Variant& variant : variants) {
    Row row{variant.name};
    for (const SummaryInfo& summary : summary_table()) {
      if (summary.overview) {
        row.push_back(cell(summary, variant));
      }
    }
    row.push_back(bound_by(variant));
    rows.push_back(std::move(row));
  }
  return rows;
}

/// How many seeds the means are of; empty where each point has one.
std::string seeds_text(std::span<const Variant> variants) {
  std::size_t most = 0;
  std::size_t least = variants.front().points.size();
  for (const Variant& variant : variants) {
    most = std::max(most, variant.points.size());
    least = std::min(least, variant.points.size());
  }
  if (most < 2) {
    return "";
  }
  const std::string seeds = least == most ? std::to_string(most) : fmt::format("{} to {}", least, most);
  return fmt::format("\nmean of {} seeds, +- half of its 95 % interval (Student's t)\n", seeds);
}

/// Mean over the steps; no value where arithmetic failed.
double tier_mean(const PointData& data, Metric metric, std::size_t tier) {
  double all = data.broken(metric) ? kNan : 0.0;
  for (std::int64_t step = 0; step < data.steps(); ++step) {
    all += data.at_tier(metric, step, static_cast<std::int64_t>(tier));
  }
  return all / static_cast<double>(data.steps());
}

/// Mean over the steps, of the sum over layers and heads where those add up, else of all values.
double figure_mean(const PointData& data, const std::string& name) {
  const auto figure = std::ranges::find(data.figures(), name, &OwnFigure::name);
  if (figure == data.figures().end()) {
    return kNan;
  }
  if (!figure->adds_up) {
    return mean(figure->values);
  }
  std::vector<double> sums;
  const std::size_t row = figure->values.size() / static_cast<std::size_t>(data.steps());
  for (std::size_t begin = 0; begin < figure->values.size(); begin += row) {
    sums.push_back(sum(std::span(figure->values).subspan(begin, row)));
  }
  return mean(sums);
}

/// The mean over a variant's seeds.
std::string figure_cell(const OwnFigure& figure, const Variant& variant) {
  std::vector<double> means;
  std::ranges::transform(variant.points, std::back_inserter(means), [&figure](const PointResult* point) {
    return figure_mean(point->data, figure.name);
  });
  return human(mean_interval(means).mean, figure.unit);
}

/// Each once, in the order in which variants have them.
std::vector<const OwnFigure*> figures_of(std::span<const Variant> variants) {
  std::vector<const OwnFigure*> figures;
  for (const Variant& variant : variants) {
    for (const OwnFigure& figure : variant.points.front()->data.figures()) {
      if (std::ranges::find(figures, figure.name, &OwnFigure::name) == figures.end()) {
        figures.push_back(&figure);
      }
    }
  }
  return figures;
}

/// A row per figure of policies' own; only the heading where there is none.
std::vector<Row> row_per_figure(std::span<const Variant> variants) {
  std::vector<Row> rows{{"policies' own, mean of a step", "unit"}};
  for (const Variant& variant : variants) {
    rows.front().push_back(variant.name);
  }
  for (const OwnFigure* figure : figures_of(variants)) {
    Row& row = rows.emplace_back(Row{figure->name, figure->unit});
    for (const Variant& variant : variants) {
      row.push_back(figure_cell(*figure, variant));
    }
  }
  return rows;
}

/// A row per variant and figure that it has: for many variants.
std::vector<Row> row_per_variant_and_figure(std::span<const Variant> variants) {
  std::vector<Row> rows{{"policies' own, mean of a step", "figure", "unit", "mean"}};
  for (const Variant& variant : variants) {
    for (const OwnFigure& figure : variant.points.front()->data.figures()) {
      rows.push_back({variant.name, figure.name, figure.unit, figure_cell(figure, variant)});
    }
  }
  return rows;
}

/// A row per point and tier of memory below its first; only the heading where there is none.
std::vector<Row> row_per_tier(std::span<const PointResult> points) {
  std::vector<Row> rows{{"memory below the first tier", "tier", "hit rate", "up/step", "down/step", "held"}};
  for (const PointResult& point : points) {
    const PointData& data = point.data;
    for (std::size_t tier = 0; tier < data.tier_names().size(); ++tier) {
      const double asked = tier_mean(data, Metric::tier_asked_bytes, tier);
      const double hit = tier_mean(data, Metric::tier_hit_bytes, tier);
      rows.push_back({data.name(), data.tier_names()[tier], human(asked > 0.0 ? hit / asked : kNan, "1"),
                      human(tier_mean(data, Metric::tier_up_bytes, tier), "B"),
                      human(tier_mean(data, Metric::tier_down_bytes, tier), "B"),
                      human(tier_mean(data, Metric::tier_held_bytes, tier), "B")});
    }
  }
  return rows;
}

/// A row per point and model; only the heading where nothing was compared.
std::vector<Row> row_per_model_error(std::span<const PointResult> points) {
  std::vector<Row> rows{{"batches, model against device", "model", "batches", "median error", "p95 error",
                         "p99 error", "total time"}};
  for (const PointResult& point : points) {
    for (const ModelError& error : point.model_errors) {
      rows.push_back({point.data.name(), error.model, fmt::format("{}", error.batches),
                      human(error.median, "1"), human(error.p95, "1"), human(error.p99, "1"),
                      fmt::format("{:+.2f} %", 100.0 * error.total_time)});
    }
  }
  return rows;
}

}  // namespace

std::string summary_text(std::span<const PointResult> points) {
  const std::vector<Variant> variants = variants_of(points);
  const std::vector<Row> rows = row_per_summary(variants);
  std::string text =
      aligned(variants.size() == 1 || total_width(rows) <= kWidth ? rows : row_per_variant(variants));
  text += seeds_text(variants);
  if (const std::vector<Row> tiers = row_per_tier(points); tiers.size() > 1) {
    text += '\n' + aligned(tiers);
  }
  if (const std::vector<Row> figures = row_per_figure(variants); figures.size() > 1) {
    const bool fits = variants.size() == 1 || total_width(figures) <= kWidth;
    text += '\n' + aligned(fits ? figures : row_per_variant_and_figure(variants));
  }
  if (const std::vector<Row> errors = row_per_model_error(points); errors.size() > 1) {
    text += '\n' + aligned(errors);
  }
  return text;
}

}  // namespace kvr

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
  std::vector<const PointOutline*> points;
};

std::vector<Variant> variants_of(std::span<const PointOutline> points) {
  std::vector<Variant> variants;
  for (const PointOutline& point : points) {
    const auto known = std::ranges::find(variants, point.variant, &Variant::name);
    Variant& variant = known == variants.end() ? variants.emplace_back(Variant{point.variant, {}}) : *known;
    variant.points.push_back(&point);
  }
  for (Variant& variant : variants) {
    if (variant.points.size() == 1) {
      variant.name = variant.points.front()->name;
    }
  }
  return variants;
}

/// Of several seeds the mean and half its 95 % interval, unless all are the same. `summary`: its place in the
/// table.
std::string cell(std::size_t summary, const Variant& variant) {
  std::vector<double> values;
  for (const PointOutline* point : variant.points) {
    values.push_back(point->summary.values[summary]);
  }
  const std::string_view unit = summary_table()[summary].unit;
  const MeanInterval interval = mean_interval(values);
  const std::string mean = human(interval.mean, unit);
  return interval.half_width > 0.0 ? fmt::format("{} +- {}", mean, human(interval.half_width, unit)) : mean;
}

/// What adds most to a step and its share of the time of all steps, "read 62 %".
std::string bound_by(const Variant& variant) {
  std::size_t longest = 0;
  double longest_s = 0.0;
  double all_s = 0.0;
  for (std::size_t p = 0; p < kPurposes; ++p) {
    double critical_s = 0.0;
    for (const PointOutline* point : variant.points) {
      critical_s += point->summary.critical_s[p];
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
  for (std::size_t summary = 0; summary < summary_table().size(); ++summary) {
    Row row{std::string(summary_table()[summary].heading)};
    for (const Variant& variant : variants) {
      row.push_back(cell(summary, variant));
    }
    const bool has_value =
        std::any_of(row.begin() + 1, row.end(), [](const std::string& text) { return text != kNoValue; });
    if (has_value || summary_table()[summary].overview) {
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
    for (std::size_t summary = 0; summary < summary_table().size(); ++summary) {
      if (summary_table()[summary].overview) {
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

/// The mean over a variant's seeds.
std::string figure_cell(const PointSummary::Figure& figure, const Variant& variant) {
  std::vector<double> means;
  for (const PointOutline* point : variant.points) {
    const auto& figures = point->summary.figures;
    const auto own = std::ranges::find(figures, figure.name, &PointSummary::Figure::name);
    means.push_back(own == figures.end() ? kNan : own->mean);
  }
  return human(mean_interval(means).mean, figure.unit);
}

/// Each once, in the order in which variants have them.
std::vector<const PointSummary::Figure*> figures_of(std::span<const Variant> variants) {
  std::vector<const PointSummary::Figure*> figures;
  for (const Variant& variant : variants) {
    for (const PointSummary::Figure& figure : variant.points.front()->summary.figures) {
      const auto same = [&](const PointSummary::Figure* other) { return other->name == figure.name; };
      if (std::ranges::none_of(figures, same)) {
        figures.push_back(&figure);
      }
    }
  }
  return figures;
}

bool is_zero(std::string_view figure, std::span<const Variant> variants) {
  return std::ranges::all_of(variants, [figure](const Variant& variant) {
    return std::ranges::all_of(variant.points, [figure](const PointOutline* point) {
      const auto& figures = point->summary.figures;
      const auto own = std::ranges::find(figures, figure, &PointSummary::Figure::name);
      return own == figures.end() || own->mean == 0.0;
    });
  });
}

/// Names those that are 0 wherever there are any, which have no rows: a device that nothing is read from has
/// many. Empty where there are none.
std::string zeros_text(std::span<const Variant> variants) {
  std::vector<std::string_view> names;
  for (const PointSummary::Figure* figure : figures_of(variants)) {
    if (is_zero(figure->name, variants)) {
      names.push_back(figure->name);
    }
  }
  return names.empty() ? "" : fmt::format("\n0 in every point: {}\n", fmt::join(names, ", "));
}

/// A row per figure of policies' own; only the heading where there is none.
std::vector<Row> row_per_figure(std::span<const Variant> variants) {
  std::vector<Row> rows{{"policies' own, mean of a step", "unit"}};
  for (const Variant& variant : variants) {
    rows.front().push_back(variant.name);
  }
  for (const PointSummary::Figure* figure : figures_of(variants)) {
    if (is_zero(figure->name, variants)) {
      continue;
    }
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
    for (const PointSummary::Figure& figure : variant.points.front()->summary.figures) {
      if (is_zero(figure.name, variants)) {
        continue;
      }
      rows.push_back({variant.name, figure.name, figure.unit, figure_cell(figure, variant)});
    }
  }
  return rows;
}

/// A row per point and tier of memory below its first; only the heading where there is none.
std::vector<Row> row_per_tier(std::span<const PointOutline> points) {
  std::vector<Row> rows{{"memory below the first tier", "tier", "hit rate", "up/step", "down/step", "held"}};
  for (const PointOutline& point : points) {
    for (const PointSummary::Tier& tier : point.summary.tiers) {
      rows.push_back({point.name, tier.name, human(tier.hit_rate, "1"), human(tier.up_bytes, "B"),
                      human(tier.down_bytes, "B"), human(tier.held_bytes, "B")});
    }
  }
  return rows;
}

/// A row per point and model; only the heading where nothing was compared.
std::vector<Row> row_per_model_error(std::span<const PointOutline> points) {
  std::vector<Row> rows{{"batches, model against device", "model", "batches", "median error", "p95 error",
                         "p99 error", "total time"}};
  for (const PointOutline& point : points) {
    for (const ModelError& error : point.model_errors) {
      rows.push_back({point.name, error.model, fmt::format("{}", error.batches), human(error.median, "1"),
                      human(error.p95, "1"), human(error.p99, "1"),
                      fmt::format("{:+.2f} %", 100.0 * error.total_time)});
    }
  }
  return rows;
}

}  // namespace

std::string summary_text(std::span<const PointOutline> points) {
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
  text += zeros_text(variants);
  if (const std::vector<Row> errors = row_per_model_error(points); errors.size() > 1) {
    text += '\n' + aligned(errors);
  }
  return text;
}

}  // namespace kvr

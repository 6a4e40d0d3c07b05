#include "sim/cli/compare/tolerances.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "sim/base/units.hpp"
#include "sim/config/text/suggest.hpp"
#include "sim/results/compare/directions.hpp"
#include "sim/results/metrics.hpp"

namespace kvr::cli {
namespace {

Quantity quantity_of(std::string_view unit) {
  return unit == "s"     ? Quantity::seconds
         : unit == "B"   ? Quantity::bytes
         : unit == "B/s" ? Quantity::bytes_per_second
         : unit == "J"   ? Quantity::joules
                         : Quantity::none;
}

std::string allowed_text(Quantity quantity) {
  return quantity == Quantity::none
             ? "a number, 0 or more, or a percentage of the base's value (2%)"
             : fmt::format("a number, 0 or more, with a unit ({}), or a percentage of the base's value (2%)",
                           unit_names(quantity));
}

ReadTolerance refused(std::string_view text, std::string_view measure, std::string_view allowed) {
  return {std::nullopt, fmt::format("'{}' is no tolerance of {}; allowed: {}", text, measure, allowed)};
}

}  // namespace

Measures::Measures() {
  for (const SummaryInfo& summary : summary_table()) {
    measures_.push_back({std::string(summary.name), std::string(summary.unit)});
  }
  for (const MetricInfo& metric : metric_table()) {
    measures_.push_back({std::string(metric.name), std::string(metric.unit)});
  }
}

void Measures::add(const ResultFile& file) {
  for (const ResultDataset& dataset : file.datasets()) {
    if (std::ranges::find(measures_, dataset.name, &Measure::name) == measures_.end()) {
      measures_.push_back({dataset.name, dataset.unit});
    }
  }
}

std::vector<std::string> Measures::units(std::string_view name) const {
  std::vector<std::string> units;
  for (const Measure& measure : measures_) {
    if (compare::means(name, measure.name)) {
      units.push_back(measure.unit);
    }
  }
  return units;
}

std::string unknown_measure(std::string_view name) {
  return fmt::format("no summary is called '{}'; {}", name,
                     config::suggestion(name, compare::names_and_families()));
}

ReadTolerance read_tolerance(std::string_view text, std::string_view measure, const Measures& measures) {
  std::set<Quantity> quantities;
  for (const std::string& unit : measures.units(measure)) {
    quantities.insert(quantity_of(unit));
  }
  const bool relative = text.ends_with('%');
  const Quantity quantity = relative || quantities.empty() ? Quantity::none : *quantities.begin();
  if (!relative && quantities.size() > 1) {
    return refused(text, measure, "a percentage (2%), as it has several units");
  }
  const ParsedNumber number = parse_quantity(relative ? text.substr(0, text.size() - 1) : text, quantity);
  if (number.failure || number.value < 0.0) {
    return refused(text, measure,
                   allowed_text(quantities.size() == 1 ? *quantities.begin() : Quantity::none));
  }
  return {compare::Tolerance{relative ? number.value / 100.0 : number.value, relative}, {}};
}

}  // namespace kvr::cli

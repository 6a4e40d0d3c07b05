#include "sim/results/point_data.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr {
namespace {

std::vector<std::int64_t> first_numbers(std::int64_t count) {
  KVR_CHECK(count >= 1, "{}", count);
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

/// A NaN that no arithmetic comes to by itself and that marks one that was set.
constexpr std::uint64_t kBrokenBits = 0x7FF8'0000'0000'0001;

bool is_broken(double value) {
  return std::bit_cast<std::uint64_t>(value) == kBrokenBits;
}

void check_numbers(const std::vector<std::int64_t>& numbers, std::size_t count) {
  KVR_CHECK(numbers.size() == count, "{} numbers for {}", numbers.size(), count);
  KVR_CHECK(std::ranges::adjacent_find(numbers, std::greater_equal<>()) == numbers.end(), "[{}]",
            fmt::join(numbers, ", "));
}

}  // namespace

PointData::PointData(std::string name, std::int64_t steps, std::int64_t layers, std::int64_t heads)
    : name_(std::move(name)),
      steps_(steps),
      layer_numbers_(first_numbers(layers)),
      head_numbers_(first_numbers(heads)),
      values_(metric_table().size()) {
  KVR_CHECK(steps >= 1, "{}", steps);
}

void PointData::set_layer_numbers(std::vector<std::int64_t> numbers) {
  check_numbers(numbers, layer_numbers_.size());
  layer_numbers_ = std::move(numbers);
}

void PointData::set_head_numbers(std::vector<std::int64_t> numbers) {
  check_numbers(numbers, head_numbers_.size());
  head_numbers_ = std::move(numbers);
}

void PointData::record(Metric metric) {
  std::vector<double>& values = values_[static_cast<std::size_t>(metric)];
  if (values.empty()) {
    values.assign(static_cast<std::size_t>(rows(info(metric).dims) * row_size(metric)),
                  std::numeric_limits<double>::quiet_NaN());
  }
}

bool PointData::broken(Metric metric) const {
  return std::ranges::any_of(values(metric), is_broken);
}

std::vector<std::string> PointData::notes() const {
  std::vector<std::string> notes;
  for (const MetricInfo& metric : metric_table()) {
    if (broken(metric.id)) {
      const std::span<const double> given = values(metric.id);
      notes.push_back(
          fmt::format("{}: {} of {} values are not numbers, the first at {}; its summaries have no value",
                      metric.name, std::ranges::count_if(given, is_broken), given.size(),
                      place_name(metric, std::ranges::find_if(given, is_broken) - given.begin())));
    }
  }
  const std::span<const double> runs = values(Metric::contiguous_mean_entries);
  if (const auto none = std::ranges::count_if(runs, [](double run) { return std::isnan(run); }); none > 0) {
    notes.push_back(
        fmt::format("contiguous_mean and contiguous_max are of {} of {} steps and layers; the others read "
                    "nothing that is needed",
                    std::ssize(runs) - none, runs.size()));
  }
  for (const OwnFigure& figure : figures_) {
    const auto known = std::ranges::count_if(figure.values, [](double value) { return !std::isnan(value); });
    if (known < std::ssize(figure.values)) {
      notes.push_back(fmt::format("{} has {} of {} values; {} gave no others", figure.name, known,
                                  figure.values.size(), figure.policy));
    }
  }
  return notes;
}

std::size_t PointData::add_figure(OwnFigure figure) {
  KVR_CHECK(std::ranges::find(figures_, figure.name, &OwnFigure::name) == figures_.end(), "{} twice",
            figure.name);
  figure.values.assign(static_cast<std::size_t>(steps_ * row_size(figure.dims)),
                       std::numeric_limits<double>::quiet_NaN());
  figures_.push_back(std::move(figure));
  return figures_.size() - 1;
}

void PointData::set_figure(std::size_t place, std::int64_t step, std::span<const double> values) {
  KVR_CHECK(0 <= step && step < steps_ && values.size() == figure_row(place),
            "{} at step {} of {}, {} values", figures_[place].name, step, steps_, values.size());
  std::ranges::copy(values,
                    figures_[place].values.begin() + static_cast<std::ptrdiff_t>(values.size()) * step);
}

void PointData::restore(Metric metric, std::vector<double> values) {
  const auto expected = static_cast<std::size_t>(rows(info(metric).dims) * row_size(metric));
  KVR_CHECK(values.size() == expected, "{} of {} values of {}", values.size(), expected, info(metric).name);
  values_[static_cast<std::size_t>(metric)] = std::move(values);
}

void PointData::restore_figure(std::size_t place, std::vector<double> values) {
  KVR_CHECK(values.size() == figures_[place].values.size(), "{} of {} values of {}", values.size(),
            figures_[place].values.size(), figures_[place].name);
  figures_[place].values = std::move(values);
}

std::string PointData::place_name(const MetricInfo& metric, std::int64_t place) const {
  const std::int64_t row = row_size(metric.id);
  if (metric.dims == Dims::prefill) {
    return fmt::format("prefill {}", place);
  }
  std::string name = fmt::format("step {}", place / row);
  if (metric.dims == Dims::step) {
    return name;
  }
  if (metric.dims == Dims::step_tier) {
    return name + fmt::format(", tier {}", tier_names_[static_cast<std::size_t>(place % row)]);
  }
  const std::int64_t layer_row = row / layers();
  name += fmt::format(", layer {}", layer_numbers_[static_cast<std::size_t>(place % row / layer_row)]);
  if (metric.dims != Dims::step_layer) {
    const std::int64_t head = place % layer_row / (layer_row / heads_of_layer());
    if (walked_sequences_ > 1) {
      name += fmt::format(", sequence {}", head / heads());
    }
    name += fmt::format(", head {}", head_numbers_[static_cast<std::size_t>(head % heads())]);
  }
  return name;
}

std::int64_t PointData::row_size(Dims dims) const {
  switch (dims) {
    case Dims::step_layer:
      return layers();
    case Dims::step_layer_head:
      return layers() * heads_of_layer();
    case Dims::step_layer_head_window:
      return layers() * heads_of_layer() * std::ssize(kWindows);
    case Dims::step_tier:
      return std::ssize(tier_names_);
    default:
      return 1;
  }
}

void PointData::set(Metric metric, std::int64_t step, double value) {
  store(metric, place(metric, Dims::step, step, 0, 0), value);
}

void PointData::set(Metric metric, std::int64_t step, std::int64_t layer, double value) {
  store(metric, place(metric, Dims::step_layer, step, layer, 0), value);
}

void PointData::set(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head, double value) {
  store(metric, place(metric, Dims::step_layer_head, step, layer, head), value);
}

void PointData::set_of_prefill(Metric metric, std::int64_t prefill, double value) {
  KVR_CHECK(info(metric).dims == Dims::prefill && 0 <= prefill && prefill < prefills_,
            "{} of prefill {} of {}", info(metric).name, prefill, prefills_);
  store(metric, static_cast<std::size_t>(prefill), value);
}

void PointData::set_of_tier(Metric metric, std::int64_t step, std::int64_t tier, double value) {
  store(metric, tier_place(metric, step, tier), value);
}

void PointData::set_in_window(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head,
                              std::size_t window, double value) {
  store(metric, place(metric, Dims::step_layer_head_window, step, layer, head) + window, value);
}

double PointData::at(Metric metric, std::int64_t step) const {
  return load(metric, place(metric, Dims::step, step, 0, 0));
}

double PointData::at(Metric metric, std::int64_t step, std::int64_t layer) const {
  return load(metric, place(metric, Dims::step_layer, step, layer, 0));
}

double PointData::at(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head) const {
  return load(metric, place(metric, Dims::step_layer_head, step, layer, head));
}

double PointData::at_tier(Metric metric, std::int64_t step, std::int64_t tier) const {
  return load(metric, tier_place(metric, step, tier));
}

double PointData::at_window(Metric metric, std::int64_t step, std::int64_t layer, std::int64_t head,
                            std::size_t window) const {
  return load(metric, place(metric, Dims::step_layer_head_window, step, layer, head) + window);
}

std::size_t PointData::tier_place(Metric metric, std::int64_t step, std::int64_t tier) const {
  KVR_CHECK(info(metric).dims == Dims::step_tier, "{} is not of tiers", info(metric).name);
  KVR_CHECK(0 <= step && step < steps_ && 0 <= tier && tier < row_size(metric),
            "{} at step {} of {}, tier {} of {}", info(metric).name, step, steps_, tier, row_size(metric));
  return static_cast<std::size_t>(step * row_size(metric) + tier);
}

std::size_t PointData::place(Metric metric, Dims dims, std::int64_t step, std::int64_t layer,
                             std::int64_t head) const {
  KVR_CHECK(info(metric).dims == dims, "{} has other dimensions than these indices", info(metric).name);
  KVR_CHECK(
      0 <= step && step < steps_ && 0 <= layer && layer < layers() && 0 <= head && head < heads_of_layer(),
      "{} at step {} of {}, layer {} of {}, head {} of {}", info(metric).name, step, steps_, layer, layers(),
      head, heads_of_layer());
  const std::int64_t layer_row = row_size(metric) / layers();
  const std::int64_t head_row =
      dims == Dims::step || dims == Dims::step_layer ? 1 : layer_row / heads_of_layer();
  return static_cast<std::size_t>(step * row_size(metric) + layer * layer_row + head * head_row);
}

void PointData::store(Metric metric, std::size_t place, double value) {
  record(metric);
  const bool broken = std::isnan(value) && !may_lack_values(metric);
  values_[static_cast<std::size_t>(metric)][place] = broken ? std::bit_cast<double>(kBrokenBits) : value;
}

double PointData::load(Metric metric, std::size_t place) const {
  return recorded(metric) ? values(metric)[place] : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace kvr

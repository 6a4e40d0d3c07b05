#include "sim/sweep/outline_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "sim/base/error.hpp"

namespace kvr::sweep {
namespace {

/// Of steps, sequences and prompts: more than any run has, and little enough to make an axis of.
constexpr std::int64_t kMostCounted = std::int64_t{1} << 24;

void require(bool sound, std::string_view what) {
  if (!sound) {
    throw InputError(fmt::format("{} cannot be", what));
  }
}

bool counts(std::int64_t number, std::int64_t least) {
  return least <= number && number <= kMostCounted;
}

/// Of layers or heads.
bool are_numbers(std::span<const std::int64_t> numbers) {
  return !numbers.empty() && numbers.front() >= 0 &&
         std::ranges::adjacent_find(numbers, std::greater_equal<>()) == numbers.end();
}

/// Each of the table's, once, in its order.
bool are_metrics(std::span<const Metric> metrics) {
  const auto known = [](Metric metric) { return static_cast<std::size_t>(metric) < metric_table().size(); };
  return std::ranges::all_of(metrics, known) &&
         std::ranges::adjacent_find(metrics, std::greater_equal<>()) == metrics.end();
}

/// "POLICY.FIGURE": it becomes the name of a dataset.
bool is_figure_name(std::string_view name) {
  const std::size_t dot = name.find('.');
  return dot != std::string_view::npos && dot > 0 && std::ranges::none_of(name, [](char c) {
           return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
         });
}

bool is_of_figures(Dims dims) {
  return dims == Dims::step || dims == Dims::step_layer || dims == Dims::step_layer_head;
}

template <class Items, class Name>
bool names_are_unique(const Items& items, Name name_of) {
  std::set<std::string_view> names;
  return std::ranges::all_of(
      items, [&](const auto& item) { return names.insert(std::invoke(name_of, item)).second; });
}

std::uint64_t product_of(std::initializer_list<std::uint64_t> factors) {
  std::uint64_t product = 1;
  for (const std::uint64_t factor : factors) {
    if (factor != 0 && product > std::numeric_limits<std::uint64_t>::max() / factor) {
      return std::numeric_limits<std::uint64_t>::max();
    }
    product *= factor;
  }
  return product;
}

}  // namespace

void check_outline(const PointOutline& outline) {
  require(counts(outline.steps, 1), "the number of its steps");
  require(counts(outline.walked_sequences, 1), "the number of its sequences");
  require(counts(outline.prefills, 0), "the number of its prompts");
  require(are_numbers(outline.layer_numbers), "the numbers of its layers");
  require(are_numbers(outline.head_numbers), "the numbers of its heads");
  require(names_are_unique(outline.tier_names, std::identity()), "the names of its tiers");
  require(std::ranges::equal(outline.tier_names, outline.summary.tiers, {}, {}, &PointSummary::Tier::name),
          "summaries of its tiers");
  require(are_metrics(outline.written), "the list of its metrics");
  require(std::ranges::all_of(outline.figures,
                              [](const OwnFigure& figure) {
                                return is_figure_name(figure.name) && is_of_figures(figure.dims);
                              }) &&
              names_are_unique(outline.figures, &OwnFigure::name),
          "the list of its policies' figures");
}

std::uint64_t values_of(const PointOutline& outline, Dims dims) {
  const auto steps = static_cast<std::uint64_t>(outline.steps);
  const std::uint64_t layers = outline.layer_numbers.size();
  const std::uint64_t sequences = static_cast<std::uint64_t>(outline.walked_sequences);
  const std::uint64_t heads = outline.head_numbers.size();
  switch (dims) {
    case Dims::point:
      return 1;
    case Dims::step:
      return steps;
    case Dims::step_layer:
      return product_of({steps, layers});
    case Dims::step_layer_head:
      return product_of({steps, layers, sequences, heads});
    case Dims::step_layer_head_window:
      return product_of({steps, layers, sequences, heads, kWindows.size()});
    case Dims::step_tier:
      return product_of({steps, outline.tier_names.size()});
    case Dims::prefill:
      return static_cast<std::uint64_t>(outline.prefills);
  }
  throw InternalError("no such dimensions");
}

}  // namespace kvr::sweep

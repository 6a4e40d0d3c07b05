#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvr::compare {

/// Which way a summary gets better.
enum class Better { higher, lower, unknown };

struct SummaryDirection {
  std::string_view name;
  std::string_view family;  ///< short name of those that are meant together; empty: none
  Better better;
};

/// A row for every summary of metrics.hpp.
std::span<const SummaryDirection> summary_directions();

/// `unknown` of what no table has, e.g. a summary of a later version.
Better better_of(std::string_view summary);

/// Whether the `*` and `?` of `pattern` can stand for any and for one character so that it becomes `text`.
bool matches(std::string_view pattern, std::string_view text);

/// Whether `name` means `summary`: its name, its family or a pattern of its name. A name comes before a
/// family: `hit_rate` is no `hit_rate_bytes`.
bool means(std::string_view name, std::string_view summary);

/// Everything that `means` takes beside patterns, each once.
std::vector<std::string_view> names_and_families();

/// Whether `name` means any of `summaries`.
bool means_any(std::string_view name, std::span<const std::string> summaries);

}  // namespace kvr::compare

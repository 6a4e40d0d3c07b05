#pragma once

#include <span>
#include <string>
#include <vector>

#include "sim/base/json.hpp"
#include "sim/results/result_file.hpp"

namespace kvr::report {

/// What a page about results shows, as JSON; null stands where there is no number.
struct PageData {
  /// Of all points: what was replayed, summaries, means over seeds, means over steps, notes, provenance.
  Json page;
  /// Each of one point: its steps, so that a page need not read what it does not show.
  std::vector<Json> steps;
};

/// `with_steps`: the points whose steps the page may have, those that matter most first; as many of them are
/// on it as there is room for (`thinned`). `page["steps"]` says which, and how many steps a bin has.
PageData page_data(const ResultFile& file, std::span<const std::size_t> with_steps);

}  // namespace kvr::report

#include "sim/config/text/suggest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace kvr::config {

namespace {

/// Levenshtein distance: insertions, deletions and replacements of one character.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// The only word of `known` that begins with `given`; empty where there are none or several.
std::string_view completed(std::string_view given, std::span<const std::string_view> known) {
  const auto begins = [given](std::string_view word) { return word.starts_with(given); };
  const auto found = std::ranges::find_if(known, begins);
  return std::ranges::count_if(known, begins) == 1 ? *found : std::string_view();
}

}  // namespace

std::string_view nearest(std::string_view given, std::span<const std::string_view> known) {
  // Nobody means a word by something this long, and comparing it takes time.
  constexpr std::size_t kLongestGiven = 256;
  if (given.size() > kLongestGiven) {
    return {};
  }
  std::string_view best = completed(given, known);
  if (!best.empty()) {
    return best;
  }
  std::size_t limit = std::max<std::size_t>(2, given.size() / 3) + 1;
  for (const std::string_view word : known) {
    const std::size_t distance = edit_distance(given, word);
    if (distance < limit && distance < word.size()) {
      limit = distance;
      best = word;
    }
  }
  return best;
}

std::string suggestion(std::string_view given, std::span<const std::string_view> known) {
  const std::string_view near = nearest(given, known);
  const std::string allowed =
      fmt::format("allowed: {}", known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
  return near.empty() ? allowed : fmt::format("did you mean '{}'? {}", near, allowed);
}

}  // namespace kvr::config

// What may stand in record.units.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string>

#include "sim/config/problem_list.hpp"
#include "sim/engine/recording/units/unit_recorder.hpp"

namespace kvr {
namespace {

/// The end of a range that names none.
constexpr std::int64_t kOpen = std::numeric_limits<std::int64_t>::max();

/// Ranges of `set` in which there is nothing, or that reach beyond what is counted.
class WindowCheck {
 public:
  WindowCheck(const RunConfig& config, ProblemList& problems) : config_(config), problems_(problems) {}

  /// `count`: they are numbered 0, 1, 2, ... and a range that names its end must have all of it.
  void check_counted(std::string_view key, std::string_view what, const LayerSet& set, std::int64_t count) {
    for (const LayerSet::Range& range : set.ranges) {
      const std::int64_t needed = range.last == kOpen ? range.first : range.last;
      if (needed >= count) {
        problems_.add(fmt::format("{}: there is no {} {}; allowed: 0..{}", config_.place(key), what, needed,
                                  count - 1));
      }
    }
  }
  /// A range must hold one of `captured`.
  void check_captured(std::string_view key, std::string_view what, const LayerSet& set,
                      std::span<const std::int64_t> captured) {
    for (const LayerSet::Range& range : set.ranges) {
      const auto holds = [&](std::int64_t number) { return number >= range.first && number <= range.last; };
      if (std::ranges::none_of(captured, holds)) {
        const std::string named = range.first == range.last ? std::to_string(range.first)
                                  : range.last == kOpen     ? fmt::format("{}..", range.first)
                                                            : fmt::format("{}..{}", range.first, range.last);
        problems_.add(fmt::format("{}: {} {} was not captured; allowed: {}", config_.place(key), what, named,
                                  fmt::join(captured, ", ")));
      }
    }
  }

 private:
  const RunConfig& config_;
  ProblemList& problems_;
};

std::int64_t count_in(const LayerSet& set, std::span<const std::int64_t> numbers) {
  return std::ranges::count_if(numbers, [&set](std::int64_t number) { return set.contains(number); });
}

std::int64_t count_in(const LayerSet& set, std::int64_t count) {
  std::int64_t found = 0;
  for (std::int64_t number = 0; number < count; ++number) {
    found += set.contains(number) ? 1 : 0;
  }
  return found;
}

}  // namespace

void check_unit_window(const RunConfig& config, const BatchWalk& walk, std::int64_t most_entries) {
  if (!config.recorded_units) {
    return;
  }
  const UnitWindow& window = *config.recorded_units;
  const trace::Header& header = walk.header();
  ProblemList problems;
  WindowCheck check(config, problems);
  check.check_counted("record.units.steps", "step", window.steps, walk.steps());
  check.check_counted("record.units.sequences", "sequence", window.sequences, walk.sequences());
  check.check_captured("record.units.layers", "layer", window.layers, header.captured_layers);
  check.check_captured("record.units.heads", "KV head", window.heads, header.captured_kv_heads);
  problems.throw_if_any();
  const std::int64_t sets =
      config.system.heads_together ? 1 : count_in(window.heads, header.captured_kv_heads);
  const std::int64_t choices = count_in(window.steps, walk.steps()) *
                               count_in(window.layers, header.captured_layers) * sets *
                               count_in(window.sequences, walk.sequences());
  if (choices > most_entries / walk.most_entries()) {
    throw InputError(fmt::format(
        "{}: {} choices (steps x layers x heads x sequences) of up to {} entries are more than can be kept; "
        "allowed: up to {} of both, multiplied, which takes fewer steps, layers or heads",
        config.place("record.units"), choices, walk.most_entries(), most_entries));
  }
}

}  // namespace kvr

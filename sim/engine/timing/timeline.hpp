#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/timing/step_times.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// What an operation of the flash reads, a line for each set of heads; nothing where that is not known.
using UnitsOfRead = std::function<std::vector<std::string>(const Operation& operation)>;

/// Which steps a timeline shows: [first, first + count) of the replayed ones.
struct TimelineSteps {
  std::int64_t first = 0;
  std::int64_t count = 0;

  bool contains(std::int64_t step) const { return step >= first && step < first + count; }
};

/// Collects the operations of chosen steps and writes them in the Chrome trace event format, which Perfetto
/// and chrome://tracing open: one process per point, one thread per resource, each link among them, further
/// ones for flash operations that overlap, times in simulated us. The spans of the critical path say so
/// ("critical": true), and where the units of a step are recorded, those of the flash name what they read
/// ("units").
class Timeline {
 public:
  explicit Timeline(TimelineSteps steps) : steps_(steps) {}

  const TimelineSteps& steps() const { return steps_; }
  /// The number of the point, for its steps. Points may take their steps in turns.
  /// `flash_tracks`: how many flash operations there may be at once. `links`: the names of their tiers.
  std::size_t begin_point(const std::string& name, std::int64_t flash_tracks = 1,
                          std::span<const std::string> links = {});
  void add_step(std::size_t point, std::int64_t step, std::int64_t position, const OperationGraph& graph,
                std::span<const Span> spans, const StepTimes& times, const UnitsOfRead& units_of = {});
  /// Whole or not at all; SystemError if it cannot be written.
  void write(const std::filesystem::path& out) const;

 private:
  TimelineSteps steps_;
  std::vector<std::vector<std::string>> events_;  ///< [points], JSON objects
};

}  // namespace kvr

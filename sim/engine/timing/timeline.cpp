#include "sim/engine/timing/timeline.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/json.hpp"

namespace kvr {
namespace {

constexpr std::array<std::string_view, kResources> kResourceNames = {"compute", "flash"};
constexpr std::size_t kStepTrack = kResources;

constexpr std::array<std::string_view, 12> kPurposeNames = {
    "Q projection", "K/V projection", "score", "read",        "attention",           "O projection",
    "feed forward", "update",         "write", "output head", "representative read", "swap in",
};

/// Viewers tell no less apart.
double nanosecond_us(double seconds) {
  return std::round(seconds * 1e9) / 1e3;
}

std::string name_event(std::string_view what, std::int64_t process, std::size_t thread,
                       std::string_view name) {
  return json_line(
      {{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", name}}}});
}

std::string span_event(std::string_view name, std::int64_t process, std::size_t thread, const Span& span,
                       const Json& args) {
  return json_line({{"ph", "X"},
                    {"name", name},
                    {"pid", process},
                    {"tid", thread},
                    {"ts", nanosecond_us(span.begin_s)},
                    {"dur", nanosecond_us(span.end_s - span.begin_s)},
                    {"args", args}});
}

Json arguments_of(const Operation& operation) {
  if (operation.resource != Resource::flash) {
    return {{"layer", operation.layer}};
  }
  std::int64_t bytes = 0;
  for (const IoRequest& request : operation.requests) {
    bytes += request.length_bytes;
  }
  return {{"layer", operation.layer}, {"requests", operation.requests.size()}, {"bytes", bytes}};
}

/// Viewers keep process 0 for the machine itself.
std::int64_t process_of(std::size_t point) {
  return static_cast<std::int64_t>(point) + 1;
}

}  // namespace

std::size_t Timeline::begin_point(const std::string& name) {
  const std::size_t point = events_.size();
  const std::int64_t process = process_of(point);
  std::vector<std::string>& events = events_.emplace_back();
  events.push_back(name_event("process_name", process, 0, name));
  for (std::size_t r = 0; r < kResources; ++r) {
    events.push_back(name_event("thread_name", process, r, kResourceNames[r]));
  }
  events.push_back(name_event("thread_name", process, kStepTrack, "step"));
  return point;
}

void Timeline::add_step(std::size_t point, std::int64_t step, std::int64_t position,
                        const OperationGraph& graph, std::span<const Span> spans, const StepTimes& times) {
  KVR_CHECK(point < events_.size(), "point {} of {}", point, events_.size());
  const std::int64_t process = process_of(point);
  std::vector<std::string>& events = events_[point];
  const auto operations = graph.operations();
  for (std::size_t i = 0; i < operations.size(); ++i) {
    events.push_back(span_event(kPurposeNames[static_cast<std::size_t>(operations[i].purpose)], process,
                                static_cast<std::size_t>(operations[i].resource), spans[i],
                                arguments_of(operations[i])));
  }
  events.push_back(span_event(fmt::format("step {}", step), process, kStepTrack, {times.begin_s, times.end_s},
                              {{"position", position}}));
}

void Timeline::write(const std::filesystem::path& out) const {
  std::vector<std::string_view> all;
  for (const std::vector<std::string>& events : events_) {
    all.insert(all.end(), events.begin(), events.end());
  }
  write_new_file(
      out, fmt::format("{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{}\n]}}\n", fmt::join(all, ",\n")));
}

}  // namespace kvr

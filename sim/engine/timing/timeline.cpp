#include "sim/engine/timing/timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string_view>

#include "sim/base/error.hpp"
#include "sim/base/files/new_file.hpp"
#include "sim/base/json.hpp"
#include "sim/engine/timing/critical_path.hpp"

namespace kvr {
namespace {

constexpr std::array<std::string_view, 2> kTrackNames = {"compute", "flash"};
constexpr std::size_t kStepTrack = kTrackNames.size();
constexpr std::size_t kFirstLinkTrack = 2048;  // above those of the flash

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

Json arguments_of(const Operation& operation, bool critical, const UnitsOfRead& units_of) {
  Json arguments = {{"layer", operation.layer}};
  if (critical) {
    arguments["critical"] = true;
  }
  if (operation.resource == Resource::link) {
    arguments["link"] = operation.link;
  }
  if (operation.resource != Resource::flash) {
    return arguments;
  }
  std::int64_t bytes = 0;
  for (const IoRequest& request : operation.requests) {
    bytes += request.length_bytes;
  }
  arguments["requests"] = operation.requests.size();
  arguments["bytes"] = bytes;
  if (std::vector<std::string> units = units_of ? units_of(operation) : std::vector<std::string>();
      !units.empty()) {
    arguments["units"] = std::move(units);
  }
  return arguments;
}

/// The first track is that of the resource; further ones show what runs beside what is on those before.
std::size_t flash_track(std::size_t place) {
  return place == 0 ? static_cast<std::size_t>(Resource::flash) : kStepTrack + place;
}

std::size_t link_track(std::size_t link) {
  return kFirstLinkTrack + link;
}

/// The track of each operation, so that those on one track follow one another.
std::vector<std::size_t> tracks_of(std::span<const Operation> operations, std::span<const Span> spans) {
  std::vector<std::size_t> by_time(operations.size());
  std::iota(by_time.begin(), by_time.end(), 0U);
  std::ranges::stable_sort(by_time, {}, [&](std::size_t i) { return spans[i].begin_s; });
  std::vector<std::size_t> tracks(operations.size(), static_cast<std::size_t>(Resource::compute));
  for (std::size_t i = 0; i < operations.size(); ++i) {
    if (operations[i].resource == Resource::link) {
      tracks[i] = link_track(static_cast<std::size_t>(operations[i].link));
    }
  }
  std::vector<double> ends_s;  // of the last operation on each track of the flash
  for (const std::size_t i : by_time) {
    if (operations[i].resource == Resource::flash) {
      const auto free = std::ranges::find_if(ends_s, [&](double end_s) { return end_s <= spans[i].begin_s; });
      const auto place = static_cast<std::size_t>(free - ends_s.begin());
      ends_s.resize(std::max(ends_s.size(), place + 1));
      ends_s[place] = spans[i].end_s;
      tracks[i] = flash_track(place);
    }
  }
  return tracks;
}

/// Viewers keep process 0 for the machine itself.
std::int64_t process_of(std::size_t point) {
  return static_cast<std::int64_t>(point) + 1;
}

}  // namespace

std::size_t Timeline::begin_point(const std::string& name, std::int64_t flash_tracks,
                                  std::span<const std::string> links) {
  const std::size_t point = events_.size();
  const std::int64_t process = process_of(point);
  std::vector<std::string>& events = events_.emplace_back();
  events.push_back(name_event("process_name", process, 0, name));
  for (std::size_t track = 0; track < kTrackNames.size(); ++track) {
    events.push_back(name_event("thread_name", process, track, kTrackNames[track]));
  }
  events.push_back(name_event("thread_name", process, kStepTrack, "step"));
  for (std::size_t place = 1; place < static_cast<std::size_t>(flash_tracks); ++place) {
    events.push_back(
        name_event("thread_name", process, flash_track(place), fmt::format("flash, beside {}", place)));
  }
  for (std::size_t link = 0; link < links.size(); ++link) {
    events.push_back(
        name_event("thread_name", process, link_track(link), fmt::format("link of {}", links[link])));
  }
  return point;
}

void Timeline::add_step(std::size_t point, std::int64_t step, std::int64_t position,
                        const OperationGraph& graph, std::span<const Span> spans, const StepTimes& times,
                        const UnitsOfRead& units_of) {
  KVR_CHECK(point < events_.size(), "point {} of {}", point, events_.size());
  const std::int64_t process = process_of(point);
  std::vector<std::string>& events = events_[point];
  const auto operations = graph.operations();
  std::vector<bool> critical(operations.size(), false);
  for (const OperationId id : critical_path(spans)) {
    critical[static_cast<std::size_t>(id)] = true;
  }
  const std::vector<std::size_t> tracks = tracks_of(operations, spans);
  for (std::size_t i = 0; i < operations.size(); ++i) {
    events.push_back(span_event(purpose_name(operations[i].purpose), process, tracks[i], spans[i],
                                arguments_of(operations[i], critical[i], units_of)));
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

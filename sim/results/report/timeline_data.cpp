// for each event, in the order of the file:
//   a name of a process: a point of the results; of a thread: a track
//   a span on another track than "step": an operation of the step whose span comes next
//   a span on "step": that step, which must be one of the results and as long as there
#include "sim/results/report/timeline_data.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/hdf5.hpp"

namespace kvr::report {
namespace {

constexpr std::uintmax_t kMostBytes = std::uintmax_t{256} << 20;
constexpr std::string_view kStepTrack = "step";
constexpr double kRoundingUs = 0.0021;  ///< of a begin and an end, each to the nanosecond

Json parsed(const std::filesystem::path& path) {
  std::error_code error;
  const std::uintmax_t bytes = std::filesystem::file_size(path, error);
  std::ifstream stream(path, std::ios::binary);
  if (error || !stream) {
    throw InputError(
        fmt::format("{}: cannot be read; expected a file of 'kvreplay run --timeline'", path.string()));
  }
  if (bytes > kMostBytes) {
    throw InputError(fmt::format("{}: has {} bytes; allowed: {}; --timeline-steps makes it smaller",
                                 path.string(), bytes, kMostBytes));
  }
  try {
    return Json::parse(stream);
  } catch (const Json::exception& bad) {
    throw InputError(fmt::format("{}: is no JSON: {}", path.string(), hdf5::shown(bad.what())));
  }
}

/// Places of names, in the order in which they came.
class Names {
 public:
  std::size_t place(const std::string& name) {
    const auto [found, is_new] = places_.try_emplace(name, names_.size());
    if (is_new) {
      names_.push_back(name);
    }
    return found->second;
  }
  const std::vector<std::string>& all() const { return names_; }

 private:
  std::map<std::string, std::size_t> places_;
  std::vector<std::string> names_;
};

class Reader {
 public:
  Reader(const std::filesystem::path& path, const ResultFile& results)
      : path_(path), results_(results), latency_(results.find("latency_s", Origin::simulated)) {}

  Json read() {
    const Json file = parsed(path_);
    try {
      for (const Json& event : file.at("traceEvents")) {
        take(event);
      }
    } catch (const Json::exception&) {
      throw InputError(fmt::format("{}: is no timeline of 'kvreplay run': its events lack what those have",
                                   path_.string()));
    }
    return result();
  }

 private:
  struct Process {
    std::size_t point = 0;
    std::vector<double> latency_s;  ///< [steps]
    std::map<std::int64_t, std::string> threads;
    Json operations = Json::array();  ///< of the step that is not yet told
    Json steps = Json::array();
  };

  void take(const Json& event) {
    const auto process = event.at("pid").get<std::int64_t>();
    const auto thread = event.at("tid").get<std::int64_t>();
    const auto name = event.at("name").get<std::string>();
    if (event.at("ph") == "M") {
      const auto called = event.at("args").at("name").get<std::string>();
      if (name == "process_name") {
        begin_point(process, called);
      } else {
        process_of(process).threads[thread] = called;
      }
      return;
    }
    Process& of = process_of(process);
    const auto track = of.threads.find(thread);
    if (track == of.threads.end()) {
      refuse(fmt::format("'{}' is on a track without a name", hdf5::shown(name)));
    }
    if (track->second == kStepTrack) {
      end_step(of, event, name);
    } else {
      add_operation(of, event, track->second, name);
    }
  }

  void begin_point(std::int64_t process, const std::string& name) {
    const auto point = std::ranges::find(results_.points(), name, &ResultPoint::name);
    if (point == results_.points().end()) {
      refuse(fmt::format("{} has no point '{}'; expected a timeline of the same run",
                         results_.path().string(), hdf5::shown(name)));
    }
    Process one;
    one.point = static_cast<std::size_t>(point - results_.points().begin());
    if (latency_ != nullptr) {
      one.latency_s = results_.block(*latency_, one.point);
    }
    if (!processes_.try_emplace(process, std::move(one)).second) {
      refuse(fmt::format("process {} is named twice", process));
    }
  }

  Process& process_of(std::int64_t number) {
    const auto found = processes_.find(number);
    if (found == processes_.end()) {
      refuse(fmt::format("process {} has no name", number));
    }
    return found->second;
  }

  void add_operation(Process& of, const Json& event, const std::string& track, const std::string& name) {
    const Json& args = event.at("args");
    of.operations.push_back({tracks_.place(track), names_.place(name), event.at("ts").get<double>(),
                             event.at("dur").get<double>(), args.at("layer").get<std::int64_t>(),
                             args.value("critical", false) ? 1 : 0, args.value("requests", std::int64_t{0}),
                             args.value("bytes", std::int64_t{0})});
  }

  void end_step(Process& of, const Json& event, const std::string& name) {
    constexpr std::string_view kPrefix = "step ";
    const auto begin_us = event.at("ts").get<double>();
    const auto latency_us = event.at("dur").get<double>();
    const std::int64_t step = number(name.starts_with(kPrefix) ? name.substr(kPrefix.size()) : "");
    check_latency(of, step, latency_us);
    Json operations = std::exchange(of.operations, Json::array());
    if (spans_ + operations.size() > kMostSpans) {
      ++left_out_;
      return;
    }
    spans_ += operations.size();
    for (Json& operation : operations) {
      operation[2] = nanosecond(operation[2].get<double>() - begin_us);
    }
    of.steps.push_back({{"step", step},
                        {"position", event.at("args").at("position")},
                        {"latency_us", latency_us},
                        {"spans", std::move(operations)}});
  }

  /// Times of the file are whole nanoseconds; so are their differences.
  static double nanosecond(double us) { return std::round(us * 1e3) / 1e3; }

  std::int64_t number(const std::string& text) const {
    std::int64_t value = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) {
      refuse("a span on the track 'step' is no step");
    }
    return value;
  }

  void check_latency(const Process& of, std::int64_t step, double latency_us) const {
    const std::string& point = results_.points()[of.point].name;
    if (step >= static_cast<std::int64_t>(results_.axis("step").size())) {
      refuse(fmt::format("{} has no step {} of '{}'", results_.path().string(), step, hdf5::shown(point)));
    }
    if (of.latency_s.empty()) {
      return;
    }
    const double expected_us = of.latency_s[static_cast<std::size_t>(step)] * 1e6;
    if (std::abs(latency_us - expected_us) > kRoundingUs) {  // NaN: a point without steps, nothing to hold to
      refuse(fmt::format("step {} of '{}' takes {} us, in {} {} us; expected a timeline of the same run",
                         step, hdf5::shown(point), latency_us, results_.path().string(), expected_us));
    }
  }

  Json result() const {
    Json points = Json::array();
    for (const auto& [number, process] : processes_) {
      if (!process.steps.empty()) {
        points.push_back({{"point", process.point}, {"steps", process.steps}});
      }
    }
    return {{"file", path_.filename().string()},
            {"left_out", left_out_},
            {"tracks", tracks_.all()},
            {"names", names_.all()},
            {"points", std::move(points)}};
  }

  [[noreturn]] void refuse(const std::string& what) const {
    throw InputError(fmt::format("{}: {}", path_.string(), what));
  }

  const std::filesystem::path& path_;
  const ResultFile& results_;
  const ResultDataset* latency_;
  std::map<std::int64_t, Process> processes_;  ///< by the number that the file gives them
  Names tracks_;
  Names names_;
  std::size_t spans_ = 0;
  std::size_t left_out_ = 0;
};

}  // namespace

Json timeline_data(const std::filesystem::path& path, const ResultFile& results) {
  return Reader(path, results).read();
}

}  // namespace kvr::report

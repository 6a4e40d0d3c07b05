// for each group:
//   replay it; where that fails and it has several points, each of them alone
//   for each of its points: put it in the store, tell that it is finished
#include "sim/sweep/runner.hpp"

#include <fmt/format.h>

#include <exception>
#include <new>
#include <utility>

#include "sim/base/error.hpp"

namespace kvr::sweep {
namespace {

/// A full disk may have room again for the next point.
std::optional<std::string> put(const Work& work, std::size_t place, const PointOutline& outline,
                               const PointData& data) {
  try {
    if (work.store != nullptr) {
      work.store->put(work.keys[place], outline, data);
    }
    return std::nullopt;
  } catch (const SystemError& error) {
    return error.what();
  }
}

std::string label_of(const Work& work, const Group& group) {
  const std::string& first = work.points[group.front()].point;
  return group.size() == 1 ? first : fmt::format("{} and {} more", first, group.size() - 1);
}

/// What a listener threw: no failure of the points.
class Stopped : public std::exception {
 public:
  explicit Stopped(std::exception_ptr why) : why_(std::move(why)) {}
  [[noreturn]] void rethrow() const { std::rethrow_exception(why_); }

 private:
  std::exception_ptr why_;
};

/// Steps of a group, over the points that are done.
Progress progress_of(const Group& group, double done, const Listener& listener) {
  return [done, size = group.size(), &listener](std::int64_t steps, std::int64_t of) {
    try {
      const double part = static_cast<double>(steps) / static_cast<double>(of);
      listener.advanced({done + static_cast<double>(size) * part, size, steps, of});
    } catch (...) {
      throw Stopped(std::current_exception());
    }
  };
}

}  // namespace

std::vector<PointResult> replay_group(const Work& work, const Group& group, const Progress& progress,
                                      Timeline* timeline) {
  std::vector<RunConfig> points;
  for (const std::size_t place : group) {
    points.push_back(work.points[place]);
  }
  try {
    return replay_together(points, work.traces.of(points.front()), progress, timeline);
  } catch (const std::bad_alloc&) {
    throw SystemError(fmt::format("there is not enough memory to replay {}{}", label_of(work, group),
                                  group.size() > 1 ? "; --together 1 takes the least" : ""));
  }
}

void finish_group(const Work& work, const Group& group, std::span<const PointResult> results,
                  const Listener& listener) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    PointOutline outline = outline_of(results[i]);
    outline.number = static_cast<std::int64_t>(group[i]);
    std::optional<std::string> not_stored = put(work, group[i], outline, results[i].data);
    listener.finished(group[i], std::move(outline), std::move(not_stored));
  }
}

void run_here(const Work& work, const Listener& listener, Timeline* timeline) {
  double done = 0.0;
  for (GroupQueue left(work.groups); !left.empty();) {
    const Group group = left.take();
    std::vector<PointResult> results;
    try {
      results = replay_group(work, group, progress_of(group, done, listener), timeline);
    } catch (const Stopped& stopped) {
      stopped.rethrow();
    } catch (const std::exception&) {
      if (group.size() > 1) {
        left.put_back_singly(group);
        continue;
      }
      listener.failed(group.front(), failure_at_hand());
    }
    finish_group(work, group, results, listener);
    done += static_cast<double>(group.size());
  }
}

}  // namespace kvr::sweep

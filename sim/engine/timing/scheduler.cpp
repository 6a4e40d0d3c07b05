#include "sim/engine/timing/scheduler.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>
#include <span>

#include "sim/base/error.hpp"
#include "sim/engine/timing/ready_lists.hpp"

namespace kvr {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// Room for one operation on a resource: since when, and which operation left it.
struct Room {
  double since_s;
  OperationId upon = Span::kStepBegin;
};

/// One step: whatever happens at the next moment, then whatever can start upon it.
class StepRun {
 public:
  StepRun(std::span<const Operation> operations, double begin_s, std::int64_t batches_outstanding,
          const Contention& contention, FlashBatches& flash, std::span<Span> spans)
      : operations_(operations),
        lists_(operations, begin_s),
        contention_(contention),
        flash_(flash),
        spans_(spans),
        room_(lists_.lanes()),
        running_(lists_.lanes()),
        unfinished_(operations.size()) {
    for (std::deque<Room>& rooms : room_) {
      rooms.assign(1, {begin_s});
    }
    room_[kFlash].assign(static_cast<std::size_t>(batches_outstanding), {begin_s});
  }

  void run() {
    start_all();
    while (unfinished_ > 0) {
      pass_moment();
      start_all();
    }
  }

 private:
  /// On a lane that takes one operation at a time, for as long as it says: computing or a link.
  struct Running {
    OperationId id;
    double end_s;
  };
  static constexpr std::size_t kCompute = lane_of(Resource::compute);
  static constexpr std::size_t kFlash = lane_of(Resource::flash);

  const Operation& operation(OperationId id) const { return operations_[static_cast<std::size_t>(id)]; }

  /// Computing first: what takes no time may make something else ready.
  void start_all() {
    for (bool started = true; started;) {
      started = false;
      for (std::size_t lane = 0; lane < room_.size(); ++lane) {
        while (start_next(lane)) {
          started = true;
        }
      }
    }
  }

  /// Whether there was something to start and room for it.
  bool start_next(std::size_t lane) {
    std::deque<Room>& rooms = room_[lane];
    const auto ready = lists_.longest_ready(lane);
    if (!ready || rooms.empty()) {
      return false;
    }
    const Room room = rooms.front();
    rooms.pop_front();
    const bool waited_for_room = room.since_s > ready->since_s;
    const double at_s = waited_for_room ? room.since_s : ready->since_s;
    spans_[static_cast<std::size_t>(ready->id)] = {at_s, at_s, waited_for_room ? room.upon : ready->upon};
    lists_.start(ready->id);
    if (lane == kFlash) {
      flash_.submit(ready->id, operation(ready->id).requests, at_s);
    } else {
      begin(lane, ready->id, at_s);
    }
    return true;
  }

  void begin(std::size_t lane, OperationId id, double at_s) {
    const double duration_s = operation(id).duration_s;
    KVR_CHECK(std::isfinite(duration_s) && duration_s >= 0.0, "an operation lasts {} s", duration_s);
    running_[lane] = {id, at_s + duration_s};
    finish_running(lane, at_s);
  }

  double next_end_s() const {
    double next_s = kNever;
    for (const std::optional<Running>& running : running_) {
      next_s = running ? std::min(next_s, running->end_s) : next_s;
    }
    return next_s;
  }

  /// The next end of what is computed or transferred, completion of a request or several; all that happens at
  /// the same time.
  void pass_moment() {
    const double ended_s = next_end_s();
    const double completed_s = flash_.outstanding() > 0 ? flash_.next_s(ended_s) : kNever;
    const double now_s = std::min(ended_s, completed_s);
    KVR_CHECK(now_s < kNever, "{} of {} operations can never start", unfinished_, operations_.size());
    if (completed_s == now_s) {
      for (const FlashBatches::Completed& one : flash_.advance(now_s)) {
        if (std::optional<Running>& computing = running_[kCompute]) {
          computing->end_s += contention_.delay_s(*one.request);
        }
        if (one.last) {
          finish(one.operation, one.done_s);
        }
      }
    }
    for (std::size_t lane = 0; lane < running_.size(); ++lane) {
      finish_running(lane, now_s);
    }
  }

  /// If it is over by `now_s`.
  void finish_running(std::size_t lane, double now_s) {
    std::optional<Running>& running = running_[lane];
    if (running && running->end_s <= now_s) {
      const Running done = *running;
      running.reset();
      finish(done.id, done.end_s);
    }
  }

  void finish(OperationId id, double end_s) {
    spans_[static_cast<std::size_t>(id)].end_s = end_s;
    lists_.finish(id, end_s);
    room_[lane_of(operation(id))].push_back({end_s, id});
    --unfinished_;
  }

  std::span<const Operation> operations_;
  ReadyLists lists_;
  const Contention& contention_;
  FlashBatches& flash_;
  std::span<Span> spans_;
  std::vector<std::deque<Room>> room_;           ///< [lanes]
  std::vector<std::optional<Running>> running_;  ///< [lanes], of the flash none
  std::size_t unfinished_;
};

}  // namespace

Scheduler::Scheduler(FlashDevice& device, std::int64_t batches_outstanding, const Contention& contention)
    : flash_(device), batches_outstanding_(batches_outstanding), contention_(contention) {
  KVR_CHECK(batches_outstanding >= 1, "{} batches outstanding", batches_outstanding);
}

StepTimes Scheduler::run(const OperationGraph& graph, double begin_s, std::vector<Span>& spans) {
  const auto operations = graph.operations();
  spans.assign(operations.size(), {});
  StepRun(operations, begin_s, batches_outstanding_, contention_, flash_, spans).run();
  return step_times(operations, spans, begin_s);
}

}  // namespace kvr

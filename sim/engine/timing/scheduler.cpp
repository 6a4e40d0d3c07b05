#include "sim/engine/timing/scheduler.hpp"

#include <algorithm>
#include <array>
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
        unfinished_(operations.size()) {
    room_of(Resource::compute).assign(1, {begin_s});
    room_of(Resource::flash).assign(static_cast<std::size_t>(batches_outstanding), {begin_s});
  }

  void run() {
    start_all();
    while (unfinished_ > 0) {
      pass_moment();
      start_all();
    }
  }

 private:
  struct Computing {
    OperationId id;
    double end_s;
  };

  std::deque<Room>& room_of(Resource resource) { return room_[static_cast<std::size_t>(resource)]; }
  const Operation& operation(OperationId id) const { return operations_[static_cast<std::size_t>(id)]; }

  /// Computing first: what takes no time may make something else ready.
  void start_all() {
    for (const Resource resource : {Resource::compute, Resource::flash}) {
      while (start_next(resource)) {
      }
    }
  }

  /// Whether there was something to start and room for it.
  bool start_next(Resource resource) {
    std::deque<Room>& rooms = room_of(resource);
    const auto ready = lists_.longest_ready(resource);
    if (!ready || rooms.empty()) {
      return false;
    }
    const Room room = rooms.front();
    rooms.pop_front();
    const bool waited_for_room = room.since_s > ready->since_s;
    const double at_s = waited_for_room ? room.since_s : ready->since_s;
    spans_[static_cast<std::size_t>(ready->id)] = {at_s, at_s, waited_for_room ? room.upon : ready->upon};
    lists_.start(ready->id);
    if (resource == Resource::flash) {
      flash_.submit(ready->id, operation(ready->id).requests, at_s);
    } else {
      compute(ready->id, at_s);
    }
    return true;
  }

  void compute(OperationId id, double at_s) {
    const double duration_s = operation(id).duration_s;
    KVR_CHECK(std::isfinite(duration_s) && duration_s >= 0.0, "an operation lasts {} s", duration_s);
    computing_ = {id, at_s + duration_s};
    finish_computing(at_s);
  }

  /// The next end of a computation, completion of a request or both; all that happens at the same time.
  void pass_moment() {
    const double computed_s = computing_ ? computing_->end_s : kNever;
    const double completed_s = flash_.outstanding() > 0 ? flash_.next_s(computed_s) : kNever;
    const double now_s = std::min(computed_s, completed_s);
    KVR_CHECK(now_s < kNever, "{} of {} operations can never start", unfinished_, operations_.size());
    if (completed_s == now_s) {
      for (const FlashBatches::Completed& one : flash_.advance(now_s)) {
        if (computing_) {
          computing_->end_s += contention_.delay_s(*one.request);
        }
        if (one.last) {
          finish(one.operation, one.done_s);
        }
      }
    }
    finish_computing(now_s);
  }

  /// If it is over by `now_s`.
  void finish_computing(double now_s) {
    if (computing_ && computing_->end_s <= now_s) {
      const Computing done = *computing_;
      computing_.reset();
      finish(done.id, done.end_s);
    }
  }

  void finish(OperationId id, double end_s) {
    spans_[static_cast<std::size_t>(id)].end_s = end_s;
    lists_.finish(id, end_s);
    room_of(operation(id).resource).push_back({end_s, id});
    --unfinished_;
  }

  std::span<const Operation> operations_;
  ReadyLists lists_;
  const Contention& contention_;
  FlashBatches& flash_;
  std::span<Span> spans_;
  std::array<std::deque<Room>, kResources> room_;
  std::optional<Computing> computing_;
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

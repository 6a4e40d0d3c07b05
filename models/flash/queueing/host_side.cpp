#include "models/flash/queueing/host_side.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr::flash {

HostSide::HostSide(std::int64_t threads, std::int64_t hw_queues, std::int64_t queue_depth, double turn_s,
                   const HostCost& host, EventHeap& events)
    : threads_(static_cast<std::size_t>(threads)),
      queues_(static_cast<std::size_t>(hw_queues), Queue{.free_slots = queue_depth, .waiting = {}}),
      turn_s_(turn_s),
      depth_(host.depth),
      wake_s_(host.depth > 0 ? host.wake_s : 0.0),
      events_(&events),
      stats_{"host", threads, 0, 0.0, 0.0},
      slots_{"slots", hw_queues * queue_depth, 0, 0.0, 0.0} {}

void HostSide::submit(double at_s, std::uint32_t command, std::uint16_t thread, double service_s) {
  KVR_CHECK(thread < threads_.size(), "thread {} of {} submits", thread, threads_.size());
  threads_[thread].submissions.push_back({command, true, service_s, at_s});
  ++threads_[thread].outstanding;
  start(at_s, thread);
}

void HostSide::complete(double at_s, std::uint32_t command, std::uint16_t thread, double service_s) {
  threads_[thread].completions.push_back({command, false, service_s, at_s});
  --threads_[thread].outstanding;
  start(at_s, thread);
  free_slot(at_s, thread);
}

HostSide::Finished HostSide::finish(double at_s, std::uint16_t thread) {
  Thread& one = threads_[thread];
  const Finished finished{one.current.command, one.current.is_submission, one.start_s};
  one.busy = false;
  one.under_way += finished.is_submission ? 1 : -1;
  start(at_s, thread);
  return finished;
}

void HostSide::start(double at_s, std::uint16_t thread) {
  Thread& one = threads_[thread];
  if (one.busy) {
    return;
  }
  if (!one.completions.empty()) {
    work_on(at_s, thread, one.completions.front());
    one.completions.pop_front();
  } else if (!one.submissions.empty() && may_submit(one) && take_slot(at_s, thread)) {
    slots_.waited_s += at_s - one.submissions.front().since_s;
    work_on(at_s, thread, one.submissions.front());
    one.submissions.pop_front();
  }
}

void HostSide::work_on(double at_s, std::uint16_t thread, const Job& job) {
  Thread& one = threads_[thread];
  one.busy = true;
  one.start_s = at_s;
  one.current = job;
  ++stats_.served;
  stats_.busy_s += job.service_s;
  stats_.waited_s += at_s - job.since_s;
  if (job.is_submission) {
    slots_.busy_s += static_cast<double>(slots_taken_) * (at_s - slots_since_s_);
    slots_since_s_ = at_s;
    ++slots_taken_;
    ++slots_.served;
  }
  const double wake_s = job.is_submission ? 0.0 : wake_s_;
  events_->schedule(at_s + wake_s + job.service_s, EventKind::host_done, thread);
}

bool HostSide::take_slot(double at_s, std::uint16_t thread) {
  Queue& queue = queue_of(thread);
  Thread& one = threads_[thread];
  if (queue.free_slots > 0 && may_take(at_s, queue, thread)) {
    --queue.free_slots;
    give_turn(at_s, queue, thread);
    return true;
  }
  if (!one.waits_for_slot) {
    one.waits_for_slot = true;
    queue.waiting.push_back(thread);
  }
  // Somebody whose turn was over may have been the only one awake.
  serve_line(at_s, queue);
  return false;
}

void HostSide::free_slot(double at_s, std::uint16_t thread) {
  slots_.busy_s += static_cast<double>(slots_taken_) * (at_s - slots_since_s_);
  slots_since_s_ = at_s;
  --slots_taken_;
  Queue& queue = queue_of(thread);
  ++queue.free_slots;
  serve_line(at_s, queue);
}

/// Gives the free slots of `queue` to those that wait for them and may have them, in order.
void HostSide::serve_line(double at_s, Queue& queue) {
  while (queue.free_slots > 0) {
    const auto next = std::ranges::find_if(
        queue.waiting, [&](std::uint16_t thread) { return may_take(at_s, queue, thread); });
    if (next == queue.waiting.end()) {
      return;
    }
    const std::uint16_t thread = *next;
    queue.waiting.erase(next);
    threads_[thread].waits_for_slot = false;
    give_turn(at_s, queue, thread);
    // A thread that is busy comes back for the slot by itself.
    start(at_s, thread);
  }
}

/// A turn ends with its time, or when its holder has no more than one command to keep a slot for.
bool HostSide::may_take(double at_s, const Queue& queue, std::uint16_t thread) const {
  const bool in_turn = at_s < queue.turn_end_s;
  if (turn_s_ == 0.0 || (in_turn && queue.holder == thread)) {
    return true;
  }
  const bool is_held = in_turn && threads_[queue.holder].outstanding > 1;
  return !is_held && (queue.waiting.empty() || queue.waiting.front() == thread);
}

void HostSide::give_turn(double at_s, Queue& queue, std::uint16_t thread) const {
  if (queue.holder != thread || at_s >= queue.turn_end_s) {
    queue.holder = thread;
    queue.turn_end_s = at_s + turn_s_;
  }
}

ResourceStats HostSide::slot_stats(double at_s) const {
  ResourceStats stats = slots_;
  stats.busy_s += static_cast<double>(slots_taken_) * (at_s - slots_since_s_);
  return stats;
}

}  // namespace kvr::flash

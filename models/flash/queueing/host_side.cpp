#include "models/flash/queueing/host_side.hpp"

#include "sim/error.hpp"

namespace kvr::flash {

HostSide::HostSide(std::int64_t threads, std::int64_t hw_queues, std::int64_t queue_depth, EventHeap& events)
    : threads_(static_cast<std::size_t>(threads)),
      queues_(static_cast<std::size_t>(hw_queues), Queue{queue_depth, {}}),
      events_(&events),
      stats_{"host", threads, 0, 0.0, 0.0},
      slots_{"slots", hw_queues * queue_depth, 0, 0.0, 0.0} {}

void HostSide::submit(double at_s, std::uint32_t command, std::uint16_t thread, double service_s) {
  KVR_CHECK(thread < threads_.size(), "thread {} of {} submits", thread, threads_.size());
  threads_[thread].submissions.push_back({command, true, service_s, at_s});
  start(at_s, thread);
}

void HostSide::complete(double at_s, std::uint32_t command, std::uint16_t thread, double service_s) {
  threads_[thread].completions.push_back({command, false, service_s, at_s});
  start(at_s, thread);
  free_slot(at_s, thread);
}

HostSide::Finished HostSide::finish(double at_s, std::uint16_t thread) {
  Thread& one = threads_[thread];
  const Finished finished{one.current.command, one.current.is_submission, one.start_s};
  one.busy = false;
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
  } else if (!one.submissions.empty() && take_slot(thread)) {
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
  events_->schedule(at_s + job.service_s, EventKind::host_done, thread);
}

bool HostSide::take_slot(std::uint16_t thread) {
  Queue& queue = queue_of(thread);
  Thread& one = threads_[thread];
  if (queue.free_slots > 0) {
    --queue.free_slots;
    return true;
  }
  if (!one.waits_for_slot) {
    one.waits_for_slot = true;
    queue.waiting.push_back(thread);
  }
  return false;
}

void HostSide::free_slot(double at_s, std::uint16_t thread) {
  slots_.busy_s += static_cast<double>(slots_taken_) * (at_s - slots_since_s_);
  slots_since_s_ = at_s;
  --slots_taken_;
  Queue& queue = queue_of(thread);
  ++queue.free_slots;
  // A thread that is busy comes back for the slot by itself.
  while (queue.free_slots > 0 && !queue.waiting.empty()) {
    const std::uint16_t next = queue.waiting.front();
    queue.waiting.pop_front();
    threads_[next].waits_for_slot = false;
    start(at_s, next);
  }
}

ResourceStats HostSide::slot_stats(double at_s) const {
  ResourceStats stats = slots_;
  stats.busy_s += static_cast<double>(slots_taken_) * (at_s - slots_since_s_);
  return stats;
}

}  // namespace kvr::flash

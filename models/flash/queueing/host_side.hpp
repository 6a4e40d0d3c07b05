#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "models/flash/queueing/event_heap.hpp"
#include "sim/interfaces/flash_device.hpp"

namespace kvr::flash {

/// The threads that submit and the queues they submit to. A thread does one thing at a time: completions
/// first, as interrupts do, then submissions, each of which needs a slot of the thread's queue. Without one
/// the thread waits in line for the next slot that the device frees.
///
/// With turns (turn_s > 0), whoever has more than one command outstanding keeps a queue to itself for
/// `turn_s`: other threads get no slot of it meanwhile, and then it goes to the one that has waited longest.
class HostSide {
 public:
  /// One thread's work on a command, done.
  struct Finished {
    std::uint32_t command;
    bool is_submission;
    double start_s;
  };

  HostSide(std::int64_t threads, std::int64_t hw_queues, std::int64_t queue_depth, double turn_s,
           EventHeap& events);

  /// `thread` has `service_s` of work until `command` is with the device.
  void submit(double at_s, std::uint32_t command, std::uint16_t thread, double service_s);
  /// The device is done with a command of `thread`: its slot is free, and the thread has work with it.
  void complete(double at_s, std::uint32_t command, std::uint16_t thread, double service_s);
  /// Handles EventKind::host_done.
  Finished finish(double at_s, std::uint16_t thread);

  /// Whether a thread waits for a slot of the queue that `thread` uses.
  bool others_wait(std::uint16_t thread) const { return !queues_[thread % queues_.size()].waiting.empty(); }

  const ResourceStats& stats() const { return stats_; }
  /// What the slots of all queues hold: busy from submission to the device's end of each command.
  ResourceStats slot_stats(double at_s) const;

 private:
  struct Job {
    std::uint32_t command;
    bool is_submission;
    double service_s;
    double since_s;
  };
  struct Thread {
    std::deque<Job> submissions;
    std::deque<Job> completions;
    Job current{};
    double start_s = 0.0;
    bool busy = false;
    bool waits_for_slot = false;
    std::int64_t outstanding = 0;  ///< commands that the device has not finished
  };
  struct Queue {
    std::int64_t free_slots;
    std::deque<std::uint16_t> waiting;  ///< threads
    std::uint16_t holder = 0;           ///< whose turn it is, if turn_end_s lies ahead
    double turn_end_s = 0.0;
  };

  void start(double at_s, std::uint16_t thread);
  void work_on(double at_s, std::uint16_t thread, const Job& job);
  bool take_slot(double at_s, std::uint16_t thread);
  bool may_take(double at_s, const Queue& queue, std::uint16_t thread) const;
  void give_turn(double at_s, Queue& queue, std::uint16_t thread);
  void serve_line(double at_s, Queue& queue);
  void free_slot(double at_s, std::uint16_t thread);
  Queue& queue_of(std::uint16_t thread) { return queues_[thread % queues_.size()]; }

  std::vector<Thread> threads_;
  std::vector<Queue> queues_;
  double turn_s_;
  EventHeap* events_;
  ResourceStats stats_;
  ResourceStats slots_;
  double slots_since_s_ = 0.0;
  std::int64_t slots_taken_ = 0;
};

}  // namespace kvr::flash

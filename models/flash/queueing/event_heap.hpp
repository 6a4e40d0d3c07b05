#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvr::flash {

enum class EventKind : std::uint8_t {
  host_done,       ///< subject: thread
  locked,          ///< subject: command that has the lock of its queue
  firmware_done,   ///< subject: command
  sensed,          ///< subject: die
  chunk_ready,     ///< subject: operation; its first chunk is out of the channel
  channel_done,    ///< subject: operation whose data have left the die
  program_loaded,  ///< subject: operation whose data have reached the die
  program_yields,  ///< subject: die
  program_done,    ///< subject: die
  written_in,      ///< subject: command whose data have crossed the link
  device_done,     ///< subject: command
  drain,           ///< the write buffer may let go of its next stripe
  rest,            ///< subject: generation of the rest that this round belongs to
};

struct Event {
  double time_s;
  std::uint64_t order;  ///< of scheduling: the tie-break that makes runs repeatable
  std::uint32_t subject;
  std::uint16_t generation;  ///< of what the subject was doing; an event of an older one is void
  EventKind kind;
};

/// What happens next, by time and then by order of scheduling. A 4-ary heap: a pop moves an event through
/// half as many levels as in a binary one, within fewer cache lines.
class EventHeap {
 public:
  bool empty() const { return heap_.empty(); }
  const Event& top() const { return heap_.front(); }

  void schedule(double time_s, EventKind kind, std::uint32_t subject, std::uint16_t generation = 0) {
    const Event event{time_s, next_order_++, subject, generation, kind};
    heap_.push_back(event);
    std::size_t at = heap_.size() - 1;
    while (at > 0 && before(event, heap_[parent(at)])) {
      heap_[at] = heap_[parent(at)];
      at = parent(at);
    }
    heap_[at] = event;
  }

  Event pop() {
    const Event first = heap_.front();
    const Event last = heap_.back();
    heap_.pop_back();
    if (!heap_.empty()) {
      sink(last);
    }
    return first;
  }

 private:
  static constexpr std::size_t kChildren = 4;

  static std::size_t parent(std::size_t at) { return (at - 1) / kChildren; }
  static bool before(const Event& a, const Event& b) {
    return a.time_s < b.time_s || (a.time_s == b.time_s && a.order < b.order);
  }

  /// Puts `event` in from the root downwards.
  void sink(const Event& event) {
    const std::size_t size = heap_.size();
    std::size_t at = 0;
    for (std::size_t first = 1; first < size; first = kChildren * at + 1) {
      std::size_t least = first;
      const std::size_t end = first + kChildren < size ? first + kChildren : size;
      for (std::size_t child = first + 1; child < end; ++child) {
        least = before(heap_[child], heap_[least]) ? child : least;
      }
      if (!before(heap_[least], event)) {
        break;
      }
      heap_[at] = heap_[least];
      at = least;
    }
    heap_[at] = event;
  }

  std::vector<Event> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace kvr::flash

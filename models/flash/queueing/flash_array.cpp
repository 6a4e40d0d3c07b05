#include "models/flash/queueing/flash_array.hpp"

#include <algorithm>
#include <cmath>

#include "models/flash/device_energy.hpp"
#include "sim/base/error.hpp"

namespace kvr::flash {

FlashArray::FlashArray(const DeviceParams& device, std::uint64_t root_seed, EventHeap& events,
                       ArrayListener& listener)
    : device_(device),
      channel_bytes_per_s_(device.channel_bandwidth * device.thermal_factor()),
      spread_(Rng::stream(root_seed, "models/flash/queueing/read_time")),
      events_(&events),
      listener_(&listener),
      dies_(static_cast<std::size_t>(device.channels * device.dies_per_channel)),
      channel_free_s_(static_cast<std::size_t>(device.channels), 0.0),
      die_stats_{"dies", device.channels * device.dies_per_channel, 0, 0.0, 0.0},
      channel_stats_{"channels", device.channels, 0, 0.0, 0.0} {}

void FlashArray::read(double at_s, std::uint32_t die, ArrayUse use, std::uint32_t tag, double bytes) {
  push(dies_[die].reads, operations_.take({use, die, tag, bytes, sensed_bytes(device_, bytes),
                                           sense_time_s(use), at_s, 0.0, kNone}));
  kick(at_s, die);
}

void FlashArray::program(double at_s, std::uint32_t die, ArrayUse use, std::uint32_t tag, double bytes,
                         double program_s) {
  const std::uint32_t operation = operations_.take({use, die, tag, bytes, 0.0, program_s, at_s, 0.0, kNone});
  events_->schedule(use_channel(at_s, die, bytes).end_s, EventKind::program_loaded, operation);
}

void FlashArray::handle(const Event& event) {
  switch (event.kind) {
    case EventKind::sensed:
      return on_sensed(event.time_s, event.subject);
    case EventKind::chunk_ready:
      return on_chunk(event.time_s, event.subject);
    case EventKind::channel_done:
      return on_channel_done(event.time_s, event.subject);
    case EventKind::program_loaded: {
      Operation& operation = operations_[event.subject];
      operation.since_s = event.time_s;
      push(dies_[operation.die].programs, event.subject);
      return kick(event.time_s, operation.die);
    }
    case EventKind::program_yields:
      return on_yield(event.time_s, event.subject, event.generation);
    case EventKind::program_done:
      return on_program_done(event.time_s, event.subject, event.generation);
    default:
      KVR_CHECK(false, "event {} is none of the array", static_cast<int>(event.kind));
  }
}

void FlashArray::push(List& list, std::uint32_t operation) {
  operations_[operation].next = kNone;
  if (list.size++ == 0) {
    list.first = operation;
  } else {
    operations_[list.last].next = operation;
  }
  list.last = operation;
}

std::uint32_t FlashArray::pop(List& list) {
  const std::uint32_t operation = list.first;
  list.first = operations_[operation].next;
  --list.size;
  return operation;
}

/// Gives an idle die its next operation; asks a programming one to give way.
void FlashArray::kick(double at_s, std::uint32_t die) {
  Die& d = dies_[die];
  if (d.sensing != kNone) {
    return;
  }
  if (d.programming == kNone || d.suspended) {
    start_next(at_s, die);
  } else {
    consider_yield(at_s, die);
  }
}

void FlashArray::start_next(double at_s, std::uint32_t die) {
  Die& d = dies_[die];
  if (d.suspended) {
    if (d.reads_before_resume > 0 && d.reads.size > 0) {
      --d.reads_before_resume;
      sense(at_s, die);
    } else {
      d.suspended = false;
      run_program(at_s, die, d.program_left_s);
    }
    return;
  }
  const bool overdue = d.programs.size > 0 && at_s - operations_[d.programs.first].since_s >=
                                                  operations_[d.programs.first].service_s;
  if (d.reads.size > 0 && !overdue) {
    sense(at_s, die);
  } else if (d.programs.size > 0) {
    start_program(at_s, die, pop(d.programs));
  }
}

void FlashArray::sense(double at_s, std::uint32_t die) {
  Die& d = dies_[die];
  d.sensing = pop(d.reads);
  d.sensed = false;
  const Operation& read = operations_[d.sensing];
  ++die_stats_.served;
  die_stats_.busy_s += read.service_s;
  die_stats_.waited_s += at_s - read.since_s;
  events_->schedule(at_s + read.service_s, EventKind::sensed, die);
}

void FlashArray::start_program(double at_s, std::uint32_t die, std::uint32_t operation) {
  Die& d = dies_[die];
  d.programming = operation;
  d.yields = 0;
  ++die_stats_.served;
  die_stats_.waited_s += at_s - operations_[operation].since_s;
  run_program(at_s, die, operations_[operation].service_s);
}

void FlashArray::run_program(double at_s, std::uint32_t die, double left_s) {
  Die& d = dies_[die];
  d.program_end_s = at_s + left_s;
  d.yield_scheduled = false;
  ++d.generation;
  events_->schedule(d.program_end_s, EventKind::program_done, die, d.generation);
  consider_yield(at_s, die);
}

void FlashArray::consider_yield(double at_s, std::uint32_t die) {
  Die& d = dies_[die];
  const double yield_s = at_s + suspend_s(operations_[d.programming].use);
  if (d.reads.size > 0 && !d.yield_scheduled && d.yields < kMostYields && yield_s < d.program_end_s) {
    d.yield_scheduled = true;
    events_->schedule(yield_s, EventKind::program_yields, die, d.generation);
  }
}

void FlashArray::on_yield(double at_s, std::uint32_t die, std::uint16_t generation) {
  Die& d = dies_[die];
  if (d.programming == kNone || generation != d.generation) {
    return;
  }
  d.program_left_s = d.program_end_s - at_s;
  d.suspended = true;
  d.reads_before_resume = d.reads.size;
  ++d.yields;
  ++d.generation;
  start_next(at_s, die);
}

void FlashArray::on_program_done(double at_s, std::uint32_t die, std::uint16_t generation) {
  Die& d = dies_[die];
  if (generation != d.generation) {
    return;
  }
  const Operation done = operations_[d.programming];
  operations_.give_back(d.programming);
  d.programming = kNone;
  die_stats_.busy_s += done.service_s;
  if (done.use != ArrayUse::erase) {
    d.programmed_bytes += done.bytes;
    if (d.programmed_bytes >= static_cast<double>(device_.erase_block)) {
      d.programmed_bytes = 0.0;
      push(d.programs,
           operations_.take({ArrayUse::erase, die, 0, 0.0, 0.0, device_.erase_time, at_s, 0.0, kNone}));
    }
    listener_->programmed(at_s, done.use, done.tag, done.bytes);
  }
  kick(at_s, die);
}

void FlashArray::on_sensed(double at_s, std::uint32_t die) {
  dies_[die].sensed = true;
  if (registers_have_room(dies_[die])) {
    to_registers(at_s, die);
  }
}

/// For what has been sensed.
bool FlashArray::registers_have_room(const Die& die) const {
  const double needed = operations_[die.sensing].register_bytes;
  return die.registers_bytes == 0.0 || die.registers_bytes + needed <= static_cast<double>(device_.stripe);
}

/// The channel takes what was sensed. The event of the channel's end tells a small read ready as well.
void FlashArray::to_registers(double at_s, std::uint32_t die) {
  Die& d = dies_[die];
  const std::uint32_t operation = d.sensing;
  Operation& read = operations_[operation];
  d.registers_bytes += read.register_bytes;
  const Service channel = use_channel(at_s, die, read.bytes);
  read.channel_end_s = channel.end_s;
  if (read.bytes > kChunkBytes) {
    events_->schedule(channel.start_s + kChunkBytes / channel_bytes_per_s_, EventKind::chunk_ready,
                      operation);
  }
  events_->schedule(channel.end_s, EventKind::channel_done, operation);
  if (device_.cache_read) {
    d.sensing = kNone;
    kick(at_s, die);
  }
}

void FlashArray::on_chunk(double at_s, std::uint32_t operation) {
  const Operation& read = operations_[operation];
  listener_->data_ready(at_s, read.use, read.tag, read.bytes, read.channel_end_s);
}

void FlashArray::on_channel_done(double at_s, std::uint32_t operation) {
  const Operation read = operations_[operation];
  operations_.give_back(operation);
  Die& d = dies_[read.die];
  d.registers_bytes -= read.register_bytes;
  if (!device_.cache_read) {
    d.sensing = kNone;
  } else if (d.sensing != kNone && d.sensed && registers_have_room(d)) {
    to_registers(at_s, read.die);
  }
  kick(at_s, read.die);
  if (read.bytes <= kChunkBytes) {
    listener_->data_ready(at_s, read.use, read.tag, read.bytes, at_s);
  }
}

Service FlashArray::use_channel(double at_s, std::uint32_t die, double bytes) {
  double& free_s = channel_free_s_[die % channel_free_s_.size()];
  const double start_s = std::max(at_s, free_s);
  const double service_s = bytes / channel_bytes_per_s_;
  free_s = start_s + service_s;
  ++channel_stats_.served;
  channel_stats_.busy_s += service_s;
  channel_stats_.waited_s += start_s - at_s;
  return {start_s, free_s};
}

double FlashArray::sense_time_s(ArrayUse use) {
  const double mean_s = use == ArrayUse::map_read ? device_.map_read_time : device_.read_time;
  const double sigma = device_.read_time_spread;
  return sigma > 0.0 ? mean_s * std::exp(sigma * spread_.normal() - sigma * sigma / 2.0) : mean_s;
}

double FlashArray::suspend_s(ArrayUse use) const {
  return use == ArrayUse::erase ? device_.erase_suspend_time : device_.program_suspend_time;
}

}  // namespace kvr::flash

#pragma once

#include <cstdint>
#include <vector>

#include "models/flash/device_params.hpp"
#include "models/flash/queueing/event_heap.hpp"
#include "models/flash/queueing/pool.hpp"
#include "models/flash/queueing/servers.hpp"
#include "sim/base/rng.hpp"

namespace kvr::flash {

/// What an operation of the array is for. All but the first two are the device's own business.
enum class ArrayUse : std::uint8_t { host_read, map_read, program, copy_read, copy_program, erase };

/// Who asked hears of it here, at the time it happens.
class ArrayListener {
 public:
  virtual ~ArrayListener() = default;
  /// The first chunk of a read has left the channel; the last one leaves it at `channel_end_s`.
  virtual void data_ready(double at_s, ArrayUse use, std::uint32_t tag, double bytes,
                          double channel_end_s) = 0;
  virtual void programmed(double at_s, ArrayUse use, std::uint32_t tag, double bytes) = 0;
};

/// Dies behind channels; die d hangs on channel d mod channels.
///
///   read:    die senses (tR) -> its register, once empty -> channel; with cache reads the die senses the
///   next
///            one meanwhile, else it waits until its data are out
///   program: channel -> waits at the die -> die programs; gives way to reads after the suspend time, up to
///            kMostYields times, each time for the reads that wait then; a program that has waited as long as
///            it takes goes before reads, so that neither kind starves
class FlashArray {
 public:
  /// Data enter the link when so much of a read has left the channel (cut-through).
  static constexpr double kChunkBytes = 16'384.0;

  FlashArray(const DeviceParams& device, std::uint64_t root_seed, EventHeap& events, ArrayListener& listener);

  std::uint32_t die_count() const { return static_cast<std::uint32_t>(dies_.size()); }

  void read(double at_s, std::uint32_t die, ArrayUse use, std::uint32_t tag, double bytes);
  /// `program_s` is the time of one stripe; `bytes` may be fewer.
  void program(double at_s, std::uint32_t die, ArrayUse use, std::uint32_t tag, double bytes,
               double program_s);
  /// Handles the events from sensed to program_done.
  void handle(const Event& event);

  ResourceStats die_stats() const { return die_stats_; }
  const ResourceStats& channel_stats() const { return channel_stats_; }

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  static constexpr int kMostYields = 4;

  struct Operation {
    ArrayUse use;
    std::uint32_t die;
    std::uint32_t tag;
    double bytes;
    double register_bytes;  ///< whole pages
    double service_s;       ///< of the die
    double since_s;         ///< at the die
    double channel_end_s;
    std::uint32_t next;
  };
  /// First in, first out, linked through Operation::next.
  struct List {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;
    std::uint32_t size = 0;
  };
  struct Die {
    List reads;
    List programs;
    std::uint32_t sensing = kNone;  ///< until its data are in the registers
    bool sensed = false;            ///< `sensing` waits for room in the registers
    double registers_bytes = 0.0;   ///< held for the channel
    std::uint32_t programming = kNone;
    bool suspended = false;
    bool yield_scheduled = false;
    int yields = 0;
    std::uint32_t reads_before_resume = 0;
    double program_end_s = 0.0;
    double program_left_s = 0.0;
    double programmed_bytes = 0.0;  ///< since its last erase
    std::uint16_t generation = 0;   ///< of the running part of a program
  };

  void push(List& list, std::uint32_t operation);
  std::uint32_t pop(List& list);
  void kick(double at_s, std::uint32_t die);
  void start_next(double at_s, std::uint32_t die);
  void sense(double at_s, std::uint32_t die);
  void start_program(double at_s, std::uint32_t die, std::uint32_t operation);
  void run_program(double at_s, std::uint32_t die, double left_s);
  void consider_yield(double at_s, std::uint32_t die);
  bool registers_have_room(const Die& die) const;
  void to_registers(double at_s, std::uint32_t die);
  void on_sensed(double at_s, std::uint32_t die);
  void on_chunk(double at_s, std::uint32_t operation);
  void on_channel_done(double at_s, std::uint32_t operation);
  void on_yield(double at_s, std::uint32_t die, std::uint16_t generation);
  void on_program_done(double at_s, std::uint32_t die, std::uint16_t generation);
  Service use_channel(double at_s, std::uint32_t die, double bytes);
  double sense_time_s(ArrayUse use);
  double suspend_s(ArrayUse use) const;

  DeviceParams device_;
  double channel_bytes_per_s_;
  Rng spread_;
  EventHeap* events_;
  ArrayListener* listener_;
  Pool<Operation> operations_;
  std::vector<Die> dies_;
  std::vector<double> channel_free_s_;
  ResourceStats die_stats_;
  ResourceStats channel_stats_;
};

}  // namespace kvr::flash

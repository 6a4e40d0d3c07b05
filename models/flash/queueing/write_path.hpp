#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "models/flash/device_params.hpp"
#include "models/flash/queueing/event_heap.hpp"
#include "models/flash/queueing/flash_array.hpp"
#include "models/flash/slc_pool.hpp"

namespace kvr::flash {

/// What happens to written bytes: they wait in the controller's buffer, leave it by stripes at the pace of
/// the SLC pool or, once that is full, of the rest, and are programmed on the dies in turn.
///
///   accept:  if the buffer has room (or is empty), the bytes are in and the command is done; else it waits
///   drain:   a full stripe -> pace (slc_bandwidth, or tlc_bandwidth / write_amplification) -> program ->
///   room collect: outside the pool each stripe owes write_amplification - 1 stripes that the device copies
///   itself rest:    after fold_delay without requests the remainder of the buffer is programmed, and the
///   pool is
///            emptied by reading a stripe and programming it elsewhere, at fold_bandwidth, until a request
///            comes
class WritePath {
 public:
  WritePath(const DeviceParams& device, EventHeap& events, FlashArray& array);

  /// `bytes` of `command` are with the controller. Appends the commands that are in the buffer to `accepted`.
  void arrive(double at_s, std::uint32_t command, double bytes, std::vector<std::uint32_t>& accepted);
  /// Handles EventKind::drain.
  void drain(double at_s);
  /// A program of the host's bytes is done. Appends the commands that have room to `accepted`.
  void programmed(double at_s, double bytes, std::vector<std::uint32_t>& accepted);
  /// A stripe that the device copies has left its die.
  void copied(double at_s, double bytes);

  bool has_rest_to_do() const { return waits_bytes_ > 0.0 || (folds_ && pool_.used_bytes() > 0.0); }
  /// One round of rest; returns the time until the next one is due.
  double rest(double at_s);

  const SlcPool& pool() const { return pool_; }

 private:
  struct Waiting {
    std::uint32_t command;
    double bytes;
  };

  void admit(std::vector<std::uint32_t>& accepted);
  void schedule_drain(double at_s);
  void issue(double at_s, double bytes);
  std::uint32_t next_die();

  DeviceParams device_;
  EventHeap* events_;
  FlashArray* array_;
  SlcPool pool_;
  bool folds_;
  double stripe_bytes_;
  double buffered_bytes_ = 0.0;  ///< taken up and not yet programmed
  double waits_bytes_ = 0.0;     ///< of those, not yet sent to a die
  double paced_until_s_ = 0.0;
  bool drain_scheduled_ = false;
  double owed_copies_bytes_ = 0.0;
  std::deque<Waiting> waiting_;  ///< for room in the buffer
  std::uint32_t next_die_ = 0;
};

}  // namespace kvr::flash

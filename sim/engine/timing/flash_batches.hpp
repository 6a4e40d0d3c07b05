#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/flash_device.hpp"
#include "sim/interfaces/schedule.hpp"

namespace kvr {

/// The flash operations that a device is at: each is a batch of requests and done when the last of them is.
class FlashBatches {
 public:
  explicit FlashBatches(FlashDevice& device) : device_(&device) {}

  /// One request of an operation that is complete.
  struct Completed {
    const IoRequest* request;
    double done_s;
    OperationId operation;
    bool last;  ///< of the operation
  };

  std::size_t outstanding() const { return batches_.size(); }
  void submit(OperationId operation, std::span<const IoRequest> requests, double at_s);
  /// The earliest completion; anything later than `limit_s` if there is none up to then. Nothing may be
  /// submitted before the earlier of the two.
  double next_s(double limit_s);
  /// What completes up to `to_s`, in order of time; until the next call.
  std::span<const Completed> advance(double to_s);

 private:
  struct Batch {
    OperationId operation;
    std::span<const IoRequest> requests;
    std::uint64_t first_id;
    std::size_t left;
  };

  Completed take(const IoDone& done);

  FlashDevice* device_;
  std::uint64_t next_request_ = 0;
  std::vector<Batch> batches_;
  std::vector<IoRequest> submitted_;
  std::vector<IoDone> done_;
  std::vector<Completed> completed_;
};

}  // namespace kvr

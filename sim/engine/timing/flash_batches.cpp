#include "sim/engine/timing/flash_batches.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "sim/base/error.hpp"

namespace kvr {

void FlashBatches::submit(OperationId operation, std::span<const IoRequest> requests, double at_s) {
  KVR_CHECK(!requests.empty(), "operation {} asks nothing of the flash", operation);
  batches_.push_back({operation, requests, next_request_, requests.size()});
  submitted_.assign(requests.begin(), requests.end());
  for (IoRequest& request : submitted_) {
    request.id = next_request_++;
    request.submit_s = at_s;
  }
  device_->submit(submitted_);
}

double FlashBatches::next_s(double limit_s) {
  const double next_s = device_->next_event_up_to_s(limit_s);
  KVR_CHECK(std::isfinite(next_s) || limit_s < next_s,
            "{} batches are outstanding and the next event is at {} s", batches_.size(), next_s);
  return next_s;
}

std::span<const FlashBatches::Completed> FlashBatches::advance(double to_s) {
  done_.clear();
  device_->advance(to_s, done_);
  KVR_CHECK(!done_.empty(), "no completion at {} s, where the device announced one", to_s);
  completed_.clear();
  std::ranges::transform(done_, std::back_inserter(completed_),
                         [this](const IoDone& done) { return take(done); });
  return completed_;
}

FlashBatches::Completed FlashBatches::take(const IoDone& done) {
  const auto batch = std::ranges::find_if(batches_, [&done](const Batch& one) {
    return done.id >= one.first_id && done.id - one.first_id < one.requests.size();
  });
  KVR_CHECK(batch != batches_.end(), "request {} completes and is not outstanding", done.id);
  const Completed completed{&batch->requests[done.id - batch->first_id], done.done_s, batch->operation,
                            --batch->left == 0};
  if (completed.last) {
    batches_.erase(batch);
  }
  return completed;
}

}  // namespace kvr

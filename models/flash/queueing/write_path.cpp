#include "models/flash/queueing/write_path.hpp"

#include <algorithm>

namespace kvr::flash {

WritePath::WritePath(const DeviceParams& device, EventHeap& events, FlashArray& array)
    : device_(device),
      events_(&events),
      array_(&array),
      pool_(device),
      folds_(device.fold_bandwidth > 0.0),
      stripe_bytes_(static_cast<double>(device.stripe)) {}

void WritePath::arrive(double at_s, std::uint32_t command, double bytes,
                       std::vector<std::uint32_t>& accepted) {
  waiting_.push_back({command, bytes});
  admit(accepted);
  schedule_drain(at_s);
}

/// In order of arrival. A command larger than the whole buffer goes through an empty one.
void WritePath::admit(std::vector<std::uint32_t>& accepted) {
  while (!waiting_.empty()) {
    const Waiting& next = waiting_.front();
    // What is short of a stripe stays in the buffer, so a buffer that holds no more counts as empty.
    const bool fits = buffered_bytes_ + next.bytes <= static_cast<double>(device_.write_buffer);
    if (!fits && buffered_bytes_ >= stripe_bytes_) {
      return;
    }
    buffered_bytes_ += next.bytes;
    waits_bytes_ += next.bytes;
    accepted.push_back(next.command);
    waiting_.pop_front();
  }
}

void WritePath::schedule_drain(double at_s) {
  if (!drain_scheduled_ && waits_bytes_ >= stripe_bytes_) {
    drain_scheduled_ = true;
    events_->schedule(std::max(at_s, paced_until_s_), EventKind::drain, 0);
  }
}

void WritePath::drain(double at_s) {
  drain_scheduled_ = false;
  issue(at_s, stripe_bytes_);
  schedule_drain(at_s);
}

/// Sends `bytes`, a stripe at most, to a die, and the copies that are owed.
void WritePath::issue(double at_s, double bytes) {
  waits_bytes_ -= bytes;
  const bool into_pool = pool_.free_bytes() >= bytes;
  paced_until_s_ = at_s + pool_.write_s(bytes);
  array_->program(at_s, next_die(), ArrayUse::program, 0, bytes,
                  into_pool ? device_.slc_program_time : device_.tlc_program_time);
  if (!into_pool) {
    owed_copies_bytes_ += (device_.write_amplification - 1.0) * bytes;
  }
  while (owed_copies_bytes_ >= stripe_bytes_) {
    owed_copies_bytes_ -= stripe_bytes_;
    array_->read(at_s, next_die(), ArrayUse::copy_read, 0, stripe_bytes_);
  }
}

void WritePath::programmed(double at_s, double bytes, std::vector<std::uint32_t>& accepted) {
  buffered_bytes_ -= bytes;
  admit(accepted);
  schedule_drain(at_s);
}

void WritePath::copied(double at_s, double bytes) {
  array_->program(at_s, next_die(), ArrayUse::copy_program, 0, bytes, device_.tlc_program_time);
}

double WritePath::rest(double at_s) {
  if (drain_scheduled_ || at_s < paced_until_s_) {
    return std::max(0.0, paced_until_s_ - at_s);
  }
  if (waits_bytes_ > 0.0) {
    issue(at_s, std::min(waits_bytes_, stripe_bytes_));
    return 0.0;
  }
  const double folded = pool_.fold(stripe_bytes_);
  array_->read(at_s, next_die(), ArrayUse::copy_read, 0, folded);
  return folded / device_.fold_bandwidth;
}

std::uint32_t WritePath::next_die() {
  const std::uint32_t die = next_die_;
  next_die_ = (next_die_ + 1) % array_->die_count();
  return die;
}

}  // namespace kvr::flash

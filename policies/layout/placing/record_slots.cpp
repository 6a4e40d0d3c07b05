#include "policies/layout/placing/record_slots.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace kvr {

void RecordSlots::reserve(std::int64_t records) {
  for (std::int64_t slot = reserved_ / slot_records_; slot * slot_records_ < records; ++slot) {
    if (slot == std::ssize(slots_)) {
      slots_.push_back({take_lowest()});
    }
    const std::int64_t in_slot = std::min(slot_records_, records - slot * slot_records_);
    end_ = std::max(end_, slots_[static_cast<std::size_t>(slot)].at * slot_records_ + in_slot);
  }
  reserved_ = std::max(reserved_, records);
}

std::int64_t RecordSlots::place_of(std::int64_t record) const {
  const Slot& slot = slots_[static_cast<std::size_t>(record / slot_records_)];
  return slot.at * slot_records_ + record % slot_records_;
}

void RecordSlots::remove(std::int64_t record) {
  KVR_CHECK(record < reserved_, "record {} of {} is removed", record, reserved_);
  Slot& slot = slots_[static_cast<std::size_t>(record / slot_records_)];
  KVR_CHECK(slot.removed < slot_records_, "record {} is removed from an empty slot", record);
  if (++slot.removed == slot_records_) {
    free_.insert(slot.at);
  }
}

std::int64_t RecordSlots::take_lowest() {
  return free_.empty() ? opened_++ : free_.extract(free_.begin()).value();
}

}  // namespace kvr

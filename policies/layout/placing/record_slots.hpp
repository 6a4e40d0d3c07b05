#pragma once

#include <cstdint>
#include <set>
#include <vector>

namespace kvr {

/// Where the records of a sequence lie that grows at its end: in slots of `slot_records` that follow one
/// another in the sequence. A slot is free once its records are all removed, and takes the next ones. As long
/// as no slot is free, record i has place i. Places are counted in records.
class RecordSlots {
 public:
  explicit RecordSlots(std::int64_t slot_records) : slot_records_(slot_records) {}

  /// Gives all records below `records` their place; new slots are the lowest free ones, then those at the
  /// end.
  void reserve(std::int64_t records);
  /// Records that have, or had, a place.
  std::int64_t reserved() const { return reserved_; }
  std::int64_t place_of(std::int64_t record) const;
  /// `record` goes for good. Once for every record, which has its place.
  void remove(std::int64_t record);
  /// No place was ever at or beyond it.
  std::int64_t end() const { return end_; }

 private:
  struct Slot {
    std::int64_t at;           ///< number of the slot on flash
    std::int64_t removed = 0;  ///< records
  };

  std::int64_t take_lowest();

  std::int64_t slot_records_;
  std::vector<Slot> slots_;      // in the order of the sequence, all that ever were
  std::set<std::int64_t> free_;  // numbers on flash
  std::int64_t opened_ = 0;      // slots on flash
  std::int64_t reserved_ = 0;
  std::int64_t end_ = 0;
};

}  // namespace kvr

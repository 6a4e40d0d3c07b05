#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/interfaces/entry_set.hpp"
#include "sim/interfaces/types.hpp"

namespace kvr {

/// Entries that were counted, and the bytes of their records.
struct RecordSum {
  std::int64_t entries = 0;
  std::int64_t bytes = 0;

  RecordSum& operator+=(const RecordSum& other) {
    entries += other.entries;
    bytes += other.bytes;
    return *this;
  }
  RecordSum& operator-=(const RecordSum& other) {
    entries -= other.entries;
    bytes -= other.bytes;
    return *this;
  }
  friend RecordSum operator+(RecordSum a, const RecordSum& b) { return a += b; }
  friend RecordSum operator-(RecordSum a, const RecordSum& b) { return a -= b; }
  friend bool operator==(const RecordSum&, const RecordSum&) = default;
};

/// Bytes of the record of each entry of what decides together: its K and V, as the codecs store them. All are
/// of one size, or each has its own, which is known once the entry is stored and never changes.
class RecordSizes {
 public:
  /// Of one size.
  explicit RecordSizes(std::int64_t bytes = 0) : largest_bytes_(bytes) {}
  /// Each stored in `fixed_bytes` and what is added for it, `largest_stored_bytes` at most. Where the model
  /// that is timed has other heads than the trace, the largest is `largest_bytes`, and others are in
  /// proportion, rounded up.
  static RecordSizes varying(std::int64_t largest_bytes, std::int64_t largest_stored_bytes,
                             std::int64_t fixed_bytes) {
    RecordSizes sizes(largest_bytes);
    sizes.largest_stored_bytes_ = largest_stored_bytes;
    sizes.fixed_bytes_ = fixed_bytes;
    return sizes;
  }

  bool vary() const { return largest_stored_bytes_ > 0; }
  std::int64_t largest_bytes() const { return largest_bytes_; }
  /// Of an entry that is stored.
  std::int64_t of(EntryIndex entry) const { return vary() ? own(entry) : largest_bytes_; }
  RecordSum sum(EntryIndex entry) const { return {1, of(entry)}; }
  /// Of one that is not stored yet, for which there is room.
  RecordSum sum_to_come() const { return {1, largest_bytes_}; }
  /// None twice.
  RecordSum sum(std::span<const EntryIndex> entries) const;
  /// Of those of `live` in `range`.
  RecordSum sum(const EntrySet& live, EntrySet::Interval range) const;
  RecordSum sum(const EntrySet& live) const;

  /// A part of the record of `entry`, of which there may be others. Where sizes vary.
  void add(EntryIndex entry, std::int64_t bytes);

 private:
  RecordSum equal(std::int64_t entries) const { return {entries, entries * largest_bytes_}; }
  std::int64_t own(EntryIndex entry) const {
    const auto at = static_cast<std::size_t>(entry);
    KVR_CHECK(at < added_bytes_.size() && added_bytes_[at] > 0, "entry {} has no record", entry);
    const std::int64_t stored = fixed_bytes_ + added_bytes_[at];
    return (stored * largest_bytes_ + largest_stored_bytes_ - 1) / largest_stored_bytes_;
  }

  std::int64_t largest_bytes_;
  std::int64_t largest_stored_bytes_ = 0;  ///< 0: of one size
  std::int64_t fixed_bytes_ = 0;
  std::vector<std::int64_t> added_bytes_;  ///< [entries], where they vary; 0: not stored
};

/// What records come to where each stands for some others.
struct RecordScale {
  double share;    ///< that a byte of a record stands for
  double largest;  ///< bytes that a record of `largest_bytes` stands for
  std::int64_t largest_bytes;

  /// By what they take less than as many of the largest, so that those of one size are multiplied once.
  double bytes(const RecordSum& records) const {
    const std::int64_t less = records.entries * largest_bytes - records.bytes;
    return static_cast<double>(records.entries) * largest - static_cast<double>(less) * share;
  }
};

inline RecordSum RecordSizes::sum(std::span<const EntryIndex> entries) const {
  if (!vary()) {
    return equal(std::ssize(entries));
  }
  RecordSum sum;
  for (const EntryIndex entry : entries) {
    sum += {1, of(entry)};
  }
  return sum;
}

inline RecordSum RecordSizes::sum(const EntrySet& live, EntrySet::Interval range) const {
  if (!vary()) {
    return equal(live.count_in(range));
  }
  RecordSum sum;
  for (const EntrySet::Interval& one : live.intervals()) {
    const EntryIndex end = std::min(one.end, range.end);
    for (EntryIndex entry = std::max(one.begin, range.begin); entry < end; ++entry) {
      sum += {1, of(entry)};
    }
  }
  return sum;
}

inline RecordSum RecordSizes::sum(const EntrySet& live) const {
  return live.empty() ? RecordSum{}
                      : sum(live, {live.intervals().front().begin, live.intervals().back().end});
}

inline void RecordSizes::add(EntryIndex entry, std::int64_t bytes) {
  const auto at = static_cast<std::size_t>(entry);
  added_bytes_.resize(std::max(added_bytes_.size(), at + 1), 0);
  added_bytes_[at] += bytes;
}

}  // namespace kvr

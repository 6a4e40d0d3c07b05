#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// Entries of one head as intervals [begin, end): ascending, none empty, no two touching, so no entry twice.
class EntrySet {
 public:
  struct Interval {
    EntryIndex begin = 0;
    EntryIndex end = 0;

    std::int64_t size() const { return end - begin; }
    friend bool operator==(const Interval&, const Interval&) = default;
  };

  EntrySet() = default;
  /// [0, count).
  static EntrySet first(std::int64_t count) {
    EntrySet set;
    set.add({0, static_cast<EntryIndex>(count)});
    return set;
  }

  std::span<const Interval> intervals() const { return intervals_; }
  std::int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  bool contains(EntryIndex entry) const {
    const auto after = first_ending_after(entry);
    return after != intervals_.end() && after->begin <= entry;
  }
  /// How many of [begin, end) it has.
  std::int64_t count_in(Interval range) const {
    std::int64_t count = 0;
    for (auto one = first_ending_after(range.begin); one != intervals_.end() && one->begin < range.end;
         ++one) {
      count += std::min(one->end, range.end) - std::max(one->begin, range.begin);
    }
    return count;
  }
  /// Calls `visit` with every entry, ascending.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const Interval& one : intervals_) {
      for (EntryIndex entry = one.begin; entry < one.end; ++entry) {
        visit(entry);
      }
    }
  }

  void add(Interval range);
  void add(EntryIndex entry) { add({entry, entry + 1}); }
  void remove(Interval range);
  void remove(EntryIndex entry) { remove({entry, entry + 1}); }

  friend bool operator==(const EntrySet&, const EntrySet&) = default;

 private:
  std::vector<Interval>::const_iterator first_ending_after(EntryIndex entry) const {
    return std::ranges::upper_bound(intervals_, entry, {}, &Interval::end);
  }

  std::vector<Interval> intervals_;
  std::int64_t size_ = 0;
};

inline void EntrySet::add(Interval range) {
  if (range.size() <= 0) {
    return;
  }
  // Those that overlap or touch become one with it.
  const auto first = std::ranges::lower_bound(intervals_, range.begin, {}, &Interval::end);
  auto last = first;
  for (; last != intervals_.end() && last->begin <= range.end; ++last) {
    range = {std::min(range.begin, last->begin), std::max(range.end, last->end)};
    size_ -= last->size();
  }
  size_ += range.size();
  intervals_.insert(intervals_.erase(first, last), range);
}

inline void EntrySet::remove(Interval range) {
  if (range.size() <= 0) {
    return;
  }
  const auto first = std::ranges::upper_bound(intervals_, range.begin, {}, &Interval::end);
  auto last = first;
  std::vector<Interval> left;
  for (; last != intervals_.end() && last->begin < range.end; ++last) {
    size_ -= last->size();
    for (const Interval part : {Interval{last->begin, std::min(last->end, range.begin)},
                                Interval{std::max(last->begin, range.end), last->end}}) {
      if (part.size() > 0) {
        left.push_back(part);
        size_ += part.size();
      }
    }
  }
  intervals_.insert(intervals_.erase(first, last), left.begin(), left.end());
}

}  // namespace kvr

#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "sim/interfaces/types.hpp"

namespace kvr {

/// Records of any sizes, each right after the one before it, in whole pages. A page of which nothing is left
/// is free, once the log has gone on to another. A record that finds no room in the pages at hand takes the
/// lowest free ones that can hold it, else pages at the end of the space: there it lies right after the one
/// before it again, unless the log came from a free page.
class RecordLog {
 public:
  explicit RecordLog(std::int64_t page_bytes) : page_bytes_(page_bytes) {}

  /// Where the next record of `bytes` > 0 lies.
  Extent append(std::int64_t bytes);
  /// A record goes for good.
  void remove(const Extent& record);
  /// Whether a record to come may lie in `range`, whole pages, unless they come to be free.
  bool is_open(const Extent& range) const {
    return range.offset_bytes < limit_bytes_ && range.end_bytes() > next_bytes_;
  }
  /// No record ever reached beyond it.
  std::int64_t end_bytes() const { return end_bytes_; }

 private:
  void make_room(std::int64_t bytes);
  /// The lowest free pages, so many side by side; -1: there are none.
  std::int64_t take_free(std::int64_t pages);
  /// The log goes on in `pages` from page `first` on.
  void go_to(std::int64_t first, std::int64_t pages);
  /// The log leaves the pages from `begin` to `end`.
  void close(std::int64_t begin, std::int64_t end);
  void count(const Extent& record, std::int64_t sign);
  std::int64_t pages_for(std::int64_t bytes) const { return (bytes + page_bytes_ - 1) / page_bytes_; }

  std::int64_t page_bytes_;
  std::int64_t next_bytes_ = 0;   // where the next record begins
  std::int64_t limit_bytes_ = 0;  // of the pages at hand
  std::int64_t end_bytes_ = 0;
  std::vector<std::int64_t> used_bytes_;  // [pages], all that ever were
  std::set<std::int64_t> free_;           // pages
};

}  // namespace kvr

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "sim/interfaces/layout.hpp"

namespace kvr {

/// Entries that have their record but wait in DRAM until whole pages of flash can be written. Pages count
/// from the beginning of the layer's region. A record that lies in two pages is written in two parts, each
/// with its page, and waits until both are.
class PageBuffer {
 public:
  PageBuffer(std::int64_t page_bytes, std::int64_t heads)
      : page_bytes_(page_bytes), waiting_(static_cast<std::size_t>(heads)) {}

  /// False: a page of 0 bytes; nothing may be added.
  bool enabled() const { return page_bytes_ > 0; }
  std::int64_t page_bytes() const { return page_bytes_; }

  /// `entry` waits from `step` on, to be written to `record`.
  void add(std::int64_t head, EntryIndex entry, const Extent& record, std::int64_t step);
  /// `entry` waits no longer and is not written. False, if it did not wait.
  bool take(std::int64_t head, EntryIndex entry, const Extent& record);

  /// A page in which something waits, and when the last entry was added to it.
  struct Page {
    Extent at;
    std::int64_t last_step;
  };
  /// Writes what waits in the pages that are `due`.
  void write(const std::function<bool(const Page&)>& due, LayoutTraffic& traffic);

  std::span<const EntryIndex> waiting(std::int64_t head) const {
    return waiting_[static_cast<std::size_t>(head)];
  }

 private:
  struct Part {
    std::int64_t head;
    EntryIndex entry;
    Extent record;
  };
  struct Waiting {
    std::vector<Part> parts;
    std::int64_t last_step = 0;
  };

  std::int64_t first_page(const Extent& record) const { return record.offset_bytes / page_bytes_; }
  std::int64_t last_page(const Extent& record) const { return (record.end_bytes() - 1) / page_bytes_; }
  bool has_part(std::int64_t head, EntryIndex entry, const Extent& record) const;
  void write_parts(const Extent& page, const Waiting& waiting, LayoutTraffic& traffic) const;

  std::int64_t page_bytes_;
  std::map<std::int64_t, Waiting> pages_;         // by number
  std::vector<std::vector<EntryIndex>> waiting_;  // [heads], in the order of being added
};

}  // namespace kvr

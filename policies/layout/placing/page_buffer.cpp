#include "policies/layout/placing/page_buffer.hpp"

#include <algorithm>

#include "policies/layout/placing/append_extent.hpp"

namespace kvr {

void PageBuffer::add(std::int64_t head, EntryIndex entry, const Extent& record, std::int64_t step) {
  for (std::int64_t page = first_page(record); page <= last_page(record); ++page) {
    Waiting& waiting = pages_[page];
    waiting.parts.push_back({head, entry, record});
    waiting.last_step = step;
  }
  waiting_[static_cast<std::size_t>(head)].push_back(entry);
}

bool PageBuffer::take(std::int64_t head, EntryIndex entry, const Extent& record) {
  if (std::erase(waiting_[static_cast<std::size_t>(head)], entry) == 0) {
    return false;
  }
  for (std::int64_t page = first_page(record); page <= last_page(record); ++page) {
    const auto found = pages_.find(page);
    if (found != pages_.end()) {
      std::erase_if(found->second.parts,
                    [&](const Part& part) { return part.head == head && part.entry == entry; });
      if (found->second.parts.empty()) {
        pages_.erase(found);
      }
    }
  }
  return true;
}

void PageBuffer::write(const std::function<bool(const Page&)>& due, LayoutTraffic& traffic) {
  for (auto page = pages_.begin(); page != pages_.end();) {
    const Extent at = {page->first * page_bytes_, page_bytes_};
    if (!due({at, page->second.last_step})) {
      ++page;
      continue;
    }
    const Waiting waiting = std::move(page->second);
    page = pages_.erase(page);
    write_parts(at, waiting, traffic);
    for (const Part& part : waiting.parts) {
      if (!has_part(part.head, part.entry, part.record)) {
        traffic.appended_bytes += part.record.length_bytes;
        std::erase(waiting_[static_cast<std::size_t>(part.head)], part.entry);
      }
    }
  }
}

bool PageBuffer::has_part(std::int64_t head, EntryIndex entry, const Extent& record) const {
  for (std::int64_t page = first_page(record); page <= last_page(record); ++page) {
    const auto found = pages_.find(page);
    if (found != pages_.end() && std::ranges::any_of(found->second.parts, [&](const Part& part) {
          return part.head == head && part.entry == entry;
        })) {
      return true;
    }
  }
  return false;
}

void PageBuffer::write_parts(const Extent& page, const Waiting& waiting, LayoutTraffic& traffic) const {
  std::vector<Extent> parts;
  for (const Part& part : waiting.parts) {
    const std::int64_t begin = std::max(part.record.offset_bytes, page.offset_bytes);
    parts.push_back({begin, std::min(part.record.end_bytes(), page.end_bytes()) - begin});
  }
  std::ranges::sort(parts, {}, &Extent::offset_bytes);
  for (const Extent& part : parts) {
    append_extent(part, traffic.writes);
  }
}

}  // namespace kvr
